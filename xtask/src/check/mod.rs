//! `cargo xtask check`: what a release has to pass beside the tests. The quick ones are part of `cargo xtask ci`.

mod external_types;
mod features;
mod minimal_versions;
mod semver;
mod small_builds;

use std::process::Command;

pub(crate) use self::external_types::check as public_api;

use crate::{step, tools, workspace::Workspace};

#[derive(clap::Subcommand)]
pub(crate) enum Check {
    /// Compiles the published crates with combinations of their features
    Features(features::Arguments),
    /// Compiles the programs without default features, and the library with each key service alone
    SmallBuilds,
    /// Compiles the published crates with the oldest dependencies that their manifests allow
    MinimalVersions,
    /// Compares the public API with an earlier revision, by the rules of semantic versioning
    Semver(semver::Arguments),
    /// Finds dependencies that no source file names
    Unused,
    /// Finds types of other crates in public signatures, and compares them with allowed-external-types.toml
    PublicApi,
}

pub(crate) fn run(workspace: &Workspace, check: &Check) -> anyhow::Result<()> {
    let workspace = &workspace.lean();
    match check {
        Check::Features(arguments) => features::check(workspace, arguments),
        Check::SmallBuilds => small_builds::check(workspace),
        Check::MinimalVersions => minimal_versions::check(workspace),
        Check::Semver(arguments) => semver::check(workspace, arguments),
        Check::Unused => unused(workspace),
        Check::PublicApi => public_api(workspace),
    }
}

/// Fails when a manifest names a crate that its sources do not.
pub(crate) fn unused(workspace: &Workspace) -> anyhow::Result<()> {
    let machete = tools::provide(workspace, &tools::CARGO_MACHETE)?;
    let mut check = Command::new(machete);
    check.current_dir(workspace.root());
    step::loudly(check)
}
