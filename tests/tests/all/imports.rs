//! Imports point one way: among the modules and folders of each crate, and among crates.
#![allow(clippy::expect_used, reason = "a test")]

mod graph;
mod source;

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde_json::Value;

use self::graph::{Crate, circles};

/// Crates from the lowest to the highest. A crate may use those of lower layers only. Crates of tests are not here.
const LAYERS: [&[&str]; 6] = [
    &["temporal-kms-codec-proto", "temporal-kms"],
    // The key services: every other crate in `kms/`. Beside them is the audit log.
    &["temporal-kms-audit"],
    &["temporal-kms-codec"],
    &["temporal-kms-conformance"],
    &["temporal-kms-codec-service"],
    &["temporal-kms-codec-server", "claude-tasks"],
];

const KEY_SERVICES: usize = 1;

#[test]
fn no_modules_or_folders_import_each_other() {
    let mut found = BTreeSet::new();
    for package in packages() {
        let crate_ = Crate::read(&package.sources).expect("the sources are readable");
        assert!(crate_.has_root(), "{} has no root", package.name);
        for circle in crate_.circles() {
            found.insert(format!("{}: {}", package.name, circle.join(", ")));
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    assert!(
        found.is_empty(),
        "these import each other:\n{}",
        found.join("\n")
    );
}

/// As `ARCHITECTURE.md` says.
#[test]
fn the_types_of_key_services_import_nothing_else() {
    let package = packages()
        .into_iter()
        .find(|package| package.name == "temporal-kms");
    let sources = package.expect("the crate is in the workspace").sources;
    let crate_ = Crate::read(&sources).expect("the sources are readable");
    let imports = crate_.imports_of("types");
    assert_eq!(imports, Some(vec![]), "`types` imports other modules");
}

#[test]
fn crates_depend_on_lower_layers_only() {
    let packages = packages();
    let layer = |name: &str| {
        let of_services = packages
            .iter()
            .any(|package| package.name == name && package.is_in_kms);
        let named = LAYERS.iter().position(|layer| layer.contains(&name));
        named.or_else(|| of_services.then_some(KEY_SERVICES))
    };
    let mut wrong = Vec::new();
    for package in &packages {
        let Some(own) = layer(&package.name) else {
            // Nothing that is shipped may depend on it.
            assert!(!package.is_shipped, "{} is in no layer", package.name);
            continue;
        };
        for dependency in &package.dependencies {
            let is_ours = packages.iter().any(|package| package.name == *dependency);
            if is_ours && layer(dependency).is_none_or(|lower| lower >= own) {
                wrong.push(format!("{} uses {dependency}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        circles(&dependencies(&packages)),
        Vec::<Vec<String>>::new(),
        "crates depend on each other"
    );
}

fn dependencies(packages: &[Package]) -> BTreeSet<(String, String)> {
    let pairs = packages.iter().flat_map(|package| {
        let to = package.dependencies.iter();
        to.map(|to| (package.name.clone(), to.clone()))
    });
    pairs.collect()
}

/// A crate of the workspace.
struct Package {
    name: String,
    sources: PathBuf,
    /// What it is built with. Dependencies of its tests are not here.
    dependencies: Vec<String>,
    /// Whether it is outside `tests/` and `xtask/`.
    is_shipped: bool,
    is_in_kms: bool,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON of cargo metadata");
    let root = PathBuf::from(text(&metadata, "workspace_root"));
    let packages = list(&metadata, "packages");
    packages
        .map(|package| {
            let manifest = PathBuf::from(text(package, "manifest_path"));
            let folder = manifest.parent().expect("a manifest is in a folder");
            let dependencies = list(package, "dependencies").filter(|one| one["kind"].is_null());
            Package {
                name: text(package, "name").to_owned(),
                sources: folder.join("src"),
                dependencies: dependencies
                    .map(|one| text(one, "name").to_owned())
                    .collect(),
                is_in_kms: folder.starts_with(root.join("kms")),
                is_shipped: ["benches", "tests", "xtask"]
                    .iter()
                    .all(|below| !folder.starts_with(root.join(below))),
            }
        })
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).expect("a text")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
