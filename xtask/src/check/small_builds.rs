//! The builds with the fewest features that people make: a program without its default features, and the library with one key
//! service. All other stages build everything. `cargo xtask check features` tries many more combinations and takes long.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::{
    dist::PROGRAMS,
    packages::{Metadata, Package},
    step,
    workspace::Workspace,
};

const LIBRARY: &str = "temporal-kms-codec";
/// The library cannot encrypt without cryptography. The programs always have this one.
const CRYPTOGRAPHY: &str = "aws-lc-rs";

/// Compiles each of them, without linking.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let metadata = Metadata::of_members(workspace)?;
    let mut services = BTreeSet::new();
    for program in &PROGRAMS {
        compile(workspace, program.package, "")?;
        services.extend(key_services(metadata.member(program.package)?));
    }
    ensure!(
        !services.is_empty(),
        "no program has a feature for a key service: how features are named has changed"
    );
    for service in services {
        compile(workspace, LIBRARY, &format!("{CRYPTOGRAPHY},{service}"))?;
    }
    Ok(())
}

fn compile(workspace: &Workspace, package: &str, features: &str) -> anyhow::Result<()> {
    let mut check = workspace.cargo();
    check.args(["check", "--locked", "--package", package]);
    check.args(["--no-default-features", "--features", features]);
    step::loudly(check)
}

/// The key services that a program can be built with: its features that only pass on a feature of the library.
fn key_services(program: &Package) -> Vec<&str> {
    let passed_on = |name: &str| format!("{LIBRARY}/{name}");
    let features = program.features.iter();
    features
        .filter(|(name, enables)| **enables == [passed_on(name)])
        .map(|(name, _)| name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_services_are_those_that_the_programs_name() {
        let metadata = Metadata::of_members(&Workspace::discover().unwrap()).unwrap();
        let library = metadata.member(LIBRARY).unwrap();
        for program in &PROGRAMS {
            let services = key_services(metadata.member(program.package).unwrap());
            assert!(services.contains(&"aws-kms"), "{services:?}");
            assert!(!services.contains(&"otlp"), "{services:?}");
            assert!(
                services
                    .iter()
                    .all(|service| library.features.contains_key(*service)),
                "{services:?}"
            );
        }
    }
}
