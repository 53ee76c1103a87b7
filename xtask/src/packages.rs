//! The workspace's packages, as cargo knows them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::{step, workspace::Workspace};

/// The README of a published crate says this if the crate's API does not follow semantic versioning.
const UNSTABLE: &str = "Its API can change in any version.";

/// Everything that `cargo metadata` says and that the commands here use.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    pub(crate) resolve: Option<Resolve>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) readme: Option<PathBuf>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Registries that it may be published to; none given means all.
    publish: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<PathBuf>,
}

/// Which versions of which packages were chosen.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
pub(crate) struct NodeDependency {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
pub(crate) struct DependencyKind {
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// Reads the members' manifests.
    pub(crate) fn of_members(workspace: &Workspace) -> anyhow::Result<Self> {
        Self::read(workspace, &["--no-deps"])
    }

    /// Reads the manifests of all packages that a build with `arguments` takes.
    pub(crate) fn of_all(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::read(workspace, arguments)
    }

    fn read(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = workspace.cargo();
        command
            .args(["metadata", "--format-version=1", "--locked"])
            .args(arguments);
        let answer = step::output(command)?;
        serde_json::from_slice(&answer).context("cannot read what `cargo metadata` prints")
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        let members = &self.workspace_members;
        self.packages
            .iter()
            .filter(move |package| members.contains(&package.id))
    }

    /// The member called `name`.
    pub(crate) fn member(&self, name: &str) -> anyhow::Result<&Package> {
        let found = self.members().find(|package| package.name == name);
        found.with_context(|| format!("the workspace has no package `{name}`"))
    }

    /// The members that other people get from a registry.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members().filter(|package| package.is_published())
    }

    /// The published members whose API follows semantic versioning: all whose README does not say otherwise.
    pub(crate) fn stable(&self) -> anyhow::Result<Vec<&Package>> {
        let mut stable = Vec::new();
        for package in self.published() {
            if package.is_stable()? {
                stable.push(package);
            }
        }
        Ok(stable)
    }
}

impl Package {
    pub(crate) fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    fn is_stable(&self) -> anyhow::Result<bool> {
        let Some(readme) = &self.readme else {
            return Ok(true);
        };
        let file = self.manifest_path.with_file_name(readme);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(!words.join(" ").contains(UNSTABLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_what_they_share_have_no_stable_api_and_every_library_has() {
        let metadata = Metadata::of_members(&Workspace::discover().unwrap()).unwrap();
        let stable: Vec<&str> = metadata
            .stable()
            .unwrap()
            .into_iter()
            .map(|package| package.name.as_str())
            .collect();
        let published = metadata.published().map(|package| package.name.as_str());
        let mut unstable: Vec<&str> = published.filter(|name| !stable.contains(name)).collect();
        unstable.sort_unstable();
        assert_eq!(
            unstable,
            [
                "claude-tasks",
                "temporal-kms-codec-server",
                "temporal-kms-codec-service"
            ]
        );
        assert!(stable.contains(&"temporal-kms-codec"), "{stable:?}");
    }

    /// A public enum or struct that is not marked cannot get a variant or a field in a compatible version.
    #[test]
    fn clippy_looks_for_exhaustive_types_in_every_stable_library() {
        let metadata = Metadata::of_members(&Workspace::discover().unwrap()).unwrap();
        for package in metadata.stable().unwrap() {
            let library = package.manifest_path.with_file_name("src/lib.rs");
            let text = fs::read_to_string(&library).unwrap();
            assert!(
                text.contains("#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]"),
                "{} has no lint against exhaustive types",
                library.display()
            );
        }
    }

    /// Every check here runs with the oldest compiler that the crates support.
    #[test]
    fn the_stated_minimum_version_is_the_pinned_toolchain() {
        let workspace = Workspace::discover().unwrap();
        let pinned = std::fs::read_to_string(workspace.root().join("rust-toolchain.toml")).unwrap();
        let metadata = Metadata::of_members(&workspace).unwrap();
        for package in metadata.members() {
            let minimum = package.rust_version.as_deref().unwrap_or_default();
            assert!(
                pinned.contains(&format!("channel = \"{minimum}.")),
                "{} states {minimum:?}",
                package.name
            );
        }
    }
}
