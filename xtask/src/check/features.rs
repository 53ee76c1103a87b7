//! Combinations of features compile, and the tests with each feature alone.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use anyhow::{Context, ensure};

use crate::{packages::Metadata, step, tools, workspace::Workspace};

/// The library cannot encrypt without one of them.
const CRYPTOGRAPHY: [&str; 2] = ["aes-gcm", "aws-lc-rs"];

/// The library, which has a feature for each key service.
const LIBRARY: &str = "temporal-kms-codec";

const COMBINATIONS: [&str; 1] = ["--feature-powerset"];
const PAIRS: [&str; 2] = ["--feature-powerset", "--depth=2"];
/// A test that uses a feature must be left out without it.
const TESTS: [&str; 2] = ["--tests", "--each-feature"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pairs of features only
    #[arg(long)]
    pairs: bool,
    /// Only this package
    #[arg(long, short)]
    package: Option<String>,
}

pub(super) fn check(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let hack = tools::provide(workspace, &tools::CARGO_HACK)?;
    let metadata = Metadata::of_members(workspace)?;
    let services = key_services(workspace, &metadata)?;
    let chosen = |name: &String| arguments.package.as_ref().is_none_or(|only| only == name);
    for package in metadata.published().filter(|package| chosen(&package.name)) {
        let combinations = Some(&COMBINATIONS[..]).filter(|_| !arguments.pairs);
        for pass in combinations.into_iter().chain([&PAIRS[..], &TESTS]) {
            let mut check = workspace.cargo();
            check.env("PATH", with_folder_of(&hack)?);
            check.args(["hack", "check", "--locked", "--package", &package.name]);
            check.args(pass);
            let has_services = services
                .iter()
                .all(|name| package.features.contains_key(name));
            if pass == COMBINATIONS && has_services {
                check.arg(format!("--group-features={}", services.join(",")));
            }
            check.args(needed(&package.features, pass == TESTS));
            step::loudly(check)?;
        }
    }
    Ok(())
}

/// The features that are the clients of key services: those of the library that need a crate in `kms`. Each is one line of
/// the library, and none knows another. So every combination of the other features is compiled with all of them and without
/// any. Every pair of features is compiled as well.
fn key_services(workspace: &Workspace, metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let folder = workspace.root().join("kms");
    let crates: Vec<_> = metadata
        .members()
        .filter(|package| package.manifest_path.starts_with(&folder))
        .map(|package| format!("dep:{}", package.name))
        .collect();
    let features = metadata.member(LIBRARY)?.features.iter();
    let services: Vec<_> = features
        .filter(|(_, needed)| needed.iter().any(|name| crates.contains(name)))
        .map(|(name, _)| name.clone())
        .collect();
    ensure!(
        !services.is_empty(),
        "{LIBRARY} has no feature for a key service"
    );
    Ok(services)
}

/// What the sets of features have in common.
fn needed(features: &BTreeMap<String, Vec<String>>, is_each_alone: bool) -> Option<String> {
    let has_both = CRYPTOGRAPHY.iter().all(|name| features.contains_key(*name));
    // A feature alone gets the first one beside it.
    let alone = || {
        CRYPTOGRAPHY
            .first()
            .map(|name| format!("--features={name}"))
    };
    match (has_both, is_each_alone) {
        (false, _) => None,
        (true, true) => alone(),
        (true, false) => Some(format!("--at-least-one-of={}", CRYPTOGRAPHY.join(","))),
    }
}

/// The `PATH` with the pinned tools first, where cargo looks for `cargo-hack`.
pub(super) fn with_folder_of(tool: &Path) -> anyhow::Result<OsString> {
    let folder = tool.parent().context("a tool lies in a folder")?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the PATH has a folder with a colon in its name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_services_are_those_of_the_manifests() {
        let workspace = Workspace::discover().unwrap();
        let metadata = Metadata::of_members(&workspace).unwrap();
        let services = key_services(&workspace, &metadata).unwrap();
        let has = |name: &str| services.iter().any(|service| service == name);
        assert!(
            has("aws-kms") && has("gcp-kms") && has("pkcs11"),
            "{services:?}"
        );
        assert!(!has("audit") && !has("sdk"), "{services:?}");
    }
}
