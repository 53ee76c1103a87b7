//! Bills of materials in `CycloneDX` 1.5: every crate that is in a program, with its version, licence and checksum.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::Context;
use serde_json::{Value, json};

use super::Release;
use crate::{
    packages::{Metadata, Package},
    step,
};

/// The SHA-256 of each package that comes from a registry, by name and version.
type Checksums = BTreeMap<(String, String), String>;

/// Writes `PROGRAM-VERSION-TARGET.cdx.json`.
pub(super) fn write(release: &Release<'_>) -> anyhow::Result<()> {
    let names = linked(release)?;
    let metadata = Metadata::of_all(
        release.workspace,
        &["--filter-platform", release.platform.triple],
    )?;
    let bill = describe(release, &metadata, &names, &checksums(release)?)?;
    let file = release.output.join(format!("{}.cdx.json", release.name()));
    let text = serde_json::to_string_pretty(&bill)? + "\n";
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Name and version of every package that the program is built from, build scripts included.
fn linked(release: &Release<'_>) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut tree = release.workspace.cargo();
    tree.args([
        "tree",
        "--locked",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    tree.args([
        "--package",
        release.program.package,
        "--target",
        release.platform.triple,
    ]);
    tree.args([
        "--no-default-features",
        "--features",
        &release
            .platform
            .features(release.workspace, std::slice::from_ref(release.program))?,
    ]);
    let listed = String::from_utf8(step::output(tree)?)?;
    Ok(listed.lines().filter_map(name_and_version).collect())
}

/// Reads `serde v1.0.229 (proc-macro) (*)`.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| !name.is_empty())?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

fn checksums(release: &Release<'_>) -> anyhow::Result<Checksums> {
    let text = fs::read_to_string(release.workspace.root().join("Cargo.lock"))?;
    locked_checksums(&text)
}

fn locked_checksums(lock: &str) -> anyhow::Result<Checksums> {
    let lock: toml::Table = toml::from_str(lock).context("Cargo.lock is not TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let packages = packages.context("Cargo.lock has no packages")?;
    let read = |package: &toml::Value| {
        let field = |name: &str| package.get(name)?.as_str().map(str::to_owned);
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    Ok(packages.iter().filter_map(read).collect())
}

fn describe(
    release: &Release<'_>,
    metadata: &Metadata,
    names: &BTreeSet<(String, String)>,
    checksums: &Checksums,
) -> anyhow::Result<Value> {
    let is_linked =
        |package: &&Package| names.contains(&(package.name.clone(), package.version.clone()));
    let linked: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .filter(is_linked)
        .map(|package| (package.id.as_str(), package))
        .collect();
    let program = metadata.member(release.program.package)?;
    let components: Vec<Value> = linked
        .values()
        .filter(|package| package.id != program.id)
        .map(|package| component(package, "library", checksums))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(program, "application", checksums) },
        "components": components,
        "dependencies": dependencies(metadata, &linked)?,
    }))
}

fn component(package: &Package, kind: &str, checksums: &Checksums) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": package.name,
        "version": package.version,
        "purl": reference(package),
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(value), Some(component)) = (value, component.as_object_mut()) {
            component.insert(name.to_owned(), value);
        }
    };
    add(
        "description",
        package.description.as_ref().map(|text| json!(text.trim())),
    );
    add(
        "licenses",
        package
            .license
            .as_ref()
            .map(|licence| json!([{ "expression": spdx(licence) }])),
    );
    let checksum = checksums.get(&(package.name.clone(), package.version.clone()));
    add(
        "hashes",
        checksum.map(|sum| json!([{ "alg": "SHA-256", "content": sum }])),
    );
    component
}

/// `MIT/Apache-2.0` is how licences were written before SPDX expressions.
fn spdx(licence: &str) -> String {
    licence.replace('/', " OR ")
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn dependencies(
    metadata: &Metadata,
    linked: &BTreeMap<&str, &Package>,
) -> anyhow::Result<Vec<Value>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("`cargo metadata` resolved nothing")?;
    let nodes = resolve
        .nodes
        .iter()
        .filter_map(|node| Some((linked.get(node.id.as_str())?, node)));
    let mut dependencies: Vec<Value> = nodes
        .map(|(package, node)| {
            let for_tests_only = |kinds: &[crate::packages::DependencyKind]| {
                kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"))
            };
            let used = node
                .deps
                .iter()
                .filter(|dependency| !for_tests_only(&dependency.dep_kinds));
            let names: BTreeSet<String> = used
                .filter_map(|dependency| linked.get(dependency.pkg.as_str()))
                .map(|package| reference(package))
                .collect();
            json!({ "ref": reference(package), "dependsOn": names })
        })
        .collect();
    dependencies.sort_by_key(|dependency| dependency.get("ref").map(Value::to_string));
    Ok(dependencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tree_are_read() {
        let read = |line| name_and_version(line).map(|(name, version)| format!("{name} {version}"));
        assert_eq!(read("serde v1.0.229").as_deref(), Some("serde 1.0.229"));
        assert_eq!(
            read("codec v0.1.0 (/work/codec) (*)").as_deref(),
            Some("codec 0.1.0")
        );
        assert_eq!(read(""), None);
    }

    #[test]
    fn checksums_of_the_lock_file_are_read() {
        let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"07\"\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        let checksums = locked_checksums(lock).unwrap();
        assert_eq!(checksums.len(), 1);
        assert_eq!(
            checksums
                .get(&("a".to_owned(), "1.0.0".to_owned()))
                .map(String::as_str),
            Some("07")
        );
    }

    #[test]
    fn old_licence_expressions_become_spdx() {
        assert_eq!(spdx("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(spdx("MIT OR Apache-2.0"), "MIT OR Apache-2.0");
    }
}
