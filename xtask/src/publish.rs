//! `cargo xtask publish-check`: checks that the crates can be published, without publishing them.

use anyhow::ensure;

use crate::{
    packages::{Metadata, Package},
    step,
    workspace::Workspace,
};

/// The limit that the registry sets.
const MOST_KEYWORDS: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not compile the packed crates
    #[arg(long)]
    no_verify: bool,
}

/// Packs every published crate, and compiles what was packed without the rest of the workspace.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    check_manifests(workspace)?;
    if arguments.no_verify {
        return Ok(());
    }
    let mut publish = workspace.lean().cargo();
    publish.args(["publish", "--dry-run", "--locked", "--allow-dirty"]);
    name_published(workspace, &mut publish)?;
    step::loudly(publish)
}

/// The part that takes seconds: what the manifests say, and whether cargo can pack the crates.
pub(crate) fn check_manifests(workspace: &Workspace) -> anyhow::Result<()> {
    let metadata = Metadata::of_members(workspace)?;
    let faults: Vec<String> = metadata
        .published()
        .flat_map(|package| faults(package, &metadata))
        .collect();
    ensure!(
        faults.is_empty(),
        "manifests of published crates:\n  {}",
        faults.join("\n  ")
    );
    let mut pack = workspace.cargo();
    pack.args([
        "package",
        "--no-verify",
        "--locked",
        "--allow-dirty",
        "--quiet",
    ]);
    name_published(workspace, &mut pack)?;
    step::loudly(pack)
}

fn name_published(
    workspace: &Workspace,
    command: &mut std::process::Command,
) -> anyhow::Result<()> {
    for package in Metadata::of_members(workspace)?.published() {
        command.args(["--package", &package.name]);
    }
    Ok(())
}

/// What the manifest lacks.
fn faults(package: &Package, metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, fault: String| {
        if !holds {
            faults.push(format!("{}: {fault}", package.name));
        }
    };
    demand(
        package.description.is_some(),
        "add a description".to_owned(),
    );
    demand(package.license.is_some(), "add a license".to_owned());
    demand(package.repository.is_some(), "add a repository".to_owned());
    demand(
        package.rust_version.is_some(),
        "add a rust-version".to_owned(),
    );
    demand(package.readme.is_some(), "add a readme".to_owned());
    demand(!package.categories.is_empty(), "add categories".to_owned());
    let keywords = package.keywords.len();
    demand(
        (1..=MOST_KEYWORDS).contains(&keywords),
        format!("name 1 to {MOST_KEYWORDS} keywords, not {keywords}"),
    );
    let folder = package.manifest_path.parent();
    let missing = package
        .readme
        .as_ref()
        .zip(folder)
        .filter(|(readme, folder)| !folder.join(readme).is_file());
    demand(missing.is_none(), "its readme does not exist".to_owned());
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some())
    {
        // Cargo leaves a development dependency without a version out of the package.
        let optional = dependency.kind.as_deref() == Some("dev") && dependency.req == "*";
        let name = &dependency.name;
        demand(
            optional || dependency.req != "*",
            format!("give the dependency {name} a version"),
        );
        let published = metadata.member(name).is_ok_and(Package::is_published);
        demand(
            optional || published,
            format!("its dependency {name} is not published"),
        );
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn package(name: &str, publish: &Value, dependencies: &Value) -> Value {
        json!({
            "name": name, "version": "0.1.0", "id": name, "manifest_path": "Cargo.toml",
            "description": "d", "license": "MIT", "repository": "r", "rust_version": "1.95", "readme": "Cargo.toml",
            "keywords": ["kms"], "categories": ["cryptography"], "features": {}, "publish": publish,
            "dependencies": dependencies,
        })
    }

    fn faults_of(manifest: &Value, others: &[Value]) -> Vec<String> {
        let mut packages = others.to_vec();
        packages.push(manifest.clone());
        let members: Vec<&Value> = packages
            .iter()
            .filter_map(|package| package.get("id"))
            .collect();
        let all = json!({ "packages": packages, "workspace_members": members, "resolve": null });
        let metadata: Metadata = serde_json::from_value(all).unwrap();
        faults(metadata.member("ours").unwrap(), &metadata)
    }

    #[test]
    fn a_complete_manifest_has_no_fault() {
        let core = package("core", &Value::Null, &json!([]));
        let dependencies = json!([{ "name": "core", "req": "^0.1.0", "kind": null, "path": "core" },
            { "name": "fake", "req": "*", "kind": "dev", "path": "fake" }]);
        assert!(faults_of(&package("ours", &Value::Null, &dependencies), &[core]).is_empty());
    }

    #[test]
    fn a_dependency_without_a_version_or_that_stays_private_is_a_fault() {
        let private = package("core", &json!([]), &json!([]));
        let dependency =
            |req: &str| json!([{ "name": "core", "req": req, "kind": null, "path": "core" }]);
        let ours = package("ours", &Value::Null, &dependency("^0.1.0"));
        assert_eq!(
            faults_of(&ours, std::slice::from_ref(&private)),
            ["ours: its dependency core is not published"]
        );
        let public = package("core", &Value::Null, &json!([]));
        let ours = package("ours", &Value::Null, &dependency("*"));
        assert_eq!(
            faults_of(&ours, &[public]),
            ["ours: give the dependency core a version"]
        );
    }

    #[test]
    fn texts_for_the_registry_are_demanded() {
        let mut ours = package("ours", &Value::Null, &json!([]));
        for name in ["description", "repository", "readme"] {
            ours[name] = Value::Null;
        }
        ours["keywords"] = json!(["1", "2", "3", "4", "5", "6"]);
        assert_eq!(faults_of(&ours, &[]).len(), 4);
    }
}
