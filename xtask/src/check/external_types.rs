//! Which crates' types appear in public signatures. A new version of such a crate is a new version of ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{packages::Metadata, step, workspace::Workspace};

const ALLOWED: &str = "allowed-external-types.toml";
const STANDARD: [&str; 5] = ["std", "core", "alloc", "proc_macro", "test"];

/// A crate that a public item names, with the places where.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// For each package, the crates that it may show, each with the reason.
type Allowed = BTreeMap<String, BTreeMap<String, String>>;

/// Fails when a library with a stable API shows a type of a crate that the list does not name, or the list names a crate
/// that no signature does.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let list = fs::read_to_string(workspace.root().join(ALLOWED))
        .with_context(|| format!("cannot read {ALLOWED}"))?;
    let allowed: Allowed =
        toml::from_str(&list).with_context(|| format!("cannot read {ALLOWED}"))?;
    let metadata = Metadata::of_members(workspace)?;
    let own: BTreeSet<String> = metadata
        .members()
        .map(|package| library(&package.name))
        .collect();
    let stable = metadata.stable()?;
    let stable: Vec<&str> = stable.iter().map(|package| package.name.as_str()).collect();
    let mut faults = sections(&stable, &allowed);
    describe(workspace)?;
    for package in stable {
        let Some(allowed) = allowed.get(package) else {
            continue;
        };
        let file = workspace
            .target()
            .join("doc")
            .join(format!("{}.json", library(package)));
        let description = read(&file)?;
        faults.extend(compare(package, &uses(&description)?, allowed, &own));
    }
    ensure!(
        faults.is_empty(),
        "types of other crates in public signatures:\n  {}",
        faults.join("\n  ")
    );
    Ok(())
}

/// Has rustdoc write what it knows about every library. With the whole workspace and its examples, features are those of
/// the lints, and no dependency is compiled a second time.
fn describe(workspace: &Workspace) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(["doc", "--workspace", "--no-deps", "--lib", "--examples"]);
    command.env("RUSTDOC", unstable_rustdoc(workspace)?);
    command.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json");
    step::loudly(command)
}

/// A rustdoc that takes unstable options. With the variable in cargo's own environment, half of the dependencies would
/// be built again.
fn unstable_rustdoc(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let rustdoc = env::var("RUSTDOC").unwrap_or_else(|_| "rustdoc".to_owned());
    let script = workspace.tools().join("unstable-rustdoc");
    fs::create_dir_all(workspace.tools())?;
    fs::write(
        &script,
        format!("#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec {rustdoc} \"$@\"\n"),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Each library has a section, also one that shows only types of its own.
fn sections(libraries: &[&str], allowed: &Allowed) -> Vec<String> {
    let missing = libraries
        .iter()
        .filter(|library| !allowed.contains_key(**library))
        .map(|library| format!("{ALLOWED} has no section [{library}]: add it"));
    let unknown = allowed
        .keys()
        .filter(|section| !libraries.contains(&section.as_str()))
        .map(|section| {
            format!("{ALLOWED} has a section [{section}], which is not a library with a stable API: remove it")
        });
    missing.chain(unknown).collect()
}

fn compare(
    package: &str,
    uses: &Uses,
    allowed: &BTreeMap<String, String>,
    own: &BTreeSet<String>,
) -> Vec<String> {
    let foreign = |name: &str| !STANDARD.contains(&name) && !own.contains(name);
    let mut faults = Vec::new();
    for (name, places) in uses.iter().filter(|(name, _)| foreign(name)) {
        if !allowed.contains_key(name) {
            let places: Vec<&str> = places.iter().map(String::as_str).collect();
            faults.push(format!(
                "{package} shows types of `{name}`: {}",
                places.join(", ")
            ));
        }
    }
    for name in allowed.keys().filter(|name| !uses.contains_key(*name)) {
        faults.push(format!(
            "{package} no longer shows a type of `{name}`: remove it from {ALLOWED}"
        ));
    }
    faults
}

/// Every type and trait that a public item of the described crate names.
fn uses(description: &Value) -> anyhow::Result<Uses> {
    let part = |name: &str| {
        let part = description.get(name).and_then(Value::as_object);
        part.with_context(|| {
            format!("rustdoc's description has no `{name}`: its format has changed")
        })
    };
    let (index, paths, crates) = (part("index")?, part("paths")?, part("external_crates")?);
    let mut uses = Uses::new();
    let mut ours = 0;
    let skipped = items_of_foreign_traits(index.values(), paths);
    for (id, item) in index {
        if number(item, "crate_id") != Some(0) || skipped.contains(id) || is_generated(item) {
            continue;
        }
        ours += 1;
        let mut named = BTreeSet::new();
        if let Some(inner) = item.get("inner") {
            collect(inner, &mut named);
        }
        for id in named {
            let Some(path) = paths.get(&id) else { continue };
            let Some(source) = number(path, "crate_id").filter(|source| *source != 0) else {
                continue;
            };
            let name = crates
                .get(&source.to_string())
                .and_then(|of| of.get("name"))
                .and_then(Value::as_str);
            let name = name.context("a path of rustdoc's description has no crate")?;
            uses.entry(name.to_owned()).or_default().insert(format!(
                "{} in {}",
                last(path),
                place(item)
            ));
        }
    }
    ensure!(
        ours > 0,
        "rustdoc's description has no item of the crate itself: its format has changed"
    );
    Ok(uses)
}

/// The methods of `impl Serialize for KeyUri` are as serde wants them: the trait itself counts, they do not.
fn items_of_foreign_traits<'a>(
    items: impl Iterator<Item = &'a Value>,
    paths: &serde_json::Map<String, Value>,
) -> BTreeSet<String> {
    let implementations = items.filter_map(|item| item.get("inner")?.get("impl"));
    let foreign = implementations.filter(|implementation| {
        let id = implementation.get("trait").and_then(|of| number(of, "id"));
        let path = id.and_then(|id| paths.get(&id.to_string()));
        path.is_some_and(|path| number(path, "crate_id") != Some(0))
    });
    let items = foreign.filter_map(|implementation| implementation.get("items")?.as_array());
    items.flatten().map(Value::to_string).collect()
}

/// Implementations that the compiler adds: of auto traits, and of blanket ones.
fn is_generated(item: &Value) -> bool {
    let implementation = item.get("inner").and_then(|inner| inner.get("impl"));
    implementation.is_some_and(|of| {
        let is_set = |name: &str| {
            of.get(name)
                .is_some_and(|value| !value.is_null() && value != false)
        };
        is_set("is_synthetic") || is_set("blanket_impl")
    })
}

/// Puts the ids of all paths in `value` into `named`.
fn collect(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let is_path = fields.contains_key("path") || fields.contains_key("source");
            if let Some(id) = number(value, "id").filter(|_| is_path) {
                named.insert(id.to_string());
            }
            fields.values().for_each(|field| collect(field, named));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, named)),
        _ => {}
    }
}

/// `connect (codec/src/kms.rs:41)`.
fn place(item: &Value) -> String {
    let name = item
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("an implementation");
    let span = item.get("span");
    let file = span
        .and_then(|span| span.get("filename"))
        .and_then(Value::as_str)
        .unwrap_or("?");
    let line = span
        .and_then(|span| span.get("begin")?.get(0))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    format!("{name} ({file}:{line})")
}

fn last(path: &Value) -> &str {
    let segments = path.get("path").and_then(Value::as_array);
    segments
        .and_then(|all| all.last())
        .and_then(Value::as_str)
        .unwrap_or("?")
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// The name of a package's library.
fn library(package: &str) -> String {
    package.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described() -> Value {
        let path = |name: &str, id: u64| json!({ "resolved_path": { "path": name, "id": id, "args": null } });
        let span = json!({ "filename": "src/lib.rs", "begin": [7, 1] });
        let function =
            |output: Value| json!({ "function": { "sig": { "inputs": [], "output": output } } });
        json!({
            "index": {
                "1": { "crate_id": 0, "name": "parse", "span": span, "inner": function(path("Url", 20)) },
                "2": { "crate_id": 0, "name": "own", "span": span, "inner": function(path("Key", 10)) },
                "3": { "crate_id": 0, "name": null, "span": span, "inner": { "impl": {
                    "is_synthetic": false, "blanket_impl": null, "items": [4],
                    "trait": { "path": "Serialize", "id": 30 }, "for": path("Key", 10) } } },
                "4": { "crate_id": 0, "name": "serialize", "span": span, "inner": function(path("Url", 20)) },
                "5": { "crate_id": 0, "name": null, "span": span, "inner": { "impl": {
                    "is_synthetic": false, "blanket_impl": { "generic": "T" }, "items": [],
                    "trait": { "path": "Instrument", "id": 40 }, "for": path("Key", 10) } } },
            },
            "paths": {
                "10": { "crate_id": 0, "path": ["ours", "Key"] },
                "20": { "crate_id": 2, "path": ["url", "Url"] },
                "30": { "crate_id": 3, "path": ["serde", "Serialize"] },
                "40": { "crate_id": 4, "path": ["tracing", "Instrument"] },
            },
            "external_crates": { "2": { "name": "url" }, "3": { "name": "serde" }, "4": { "name": "tracing" } },
        })
    }

    #[test]
    fn signatures_and_implemented_traits_count_and_what_they_demand_does_not() {
        let uses = uses(&described()).unwrap();
        let places = |name: &str| {
            uses.get(name)
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(uses.keys().collect::<Vec<_>>(), ["serde", "url"]);
        assert_eq!(places("url"), ["Url in parse (src/lib.rs:7)"]);
        assert_eq!(
            places("serde"),
            ["Serialize in an implementation (src/lib.rs:7)"]
        );
    }

    #[test]
    fn a_crate_that_is_not_on_the_list_is_a_fault_and_so_is_an_entry_without_a_use() {
        let uses = uses(&described()).unwrap();
        let allowed = |names: &[&str]| {
            names
                .iter()
                .map(|name| ((*name).to_owned(), String::new()))
                .collect()
        };
        let own = BTreeSet::from(["ours".to_owned()]);
        assert!(compare("ours", &uses, &allowed(&["serde", "url"]), &own).is_empty());
        let faults = compare("ours", &uses, &allowed(&["serde", "http"]), &own);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn every_library_has_a_section_and_every_section_a_library() {
        let allowed: Allowed = toml::from_str("[core]\n[codec]\nzeroize = \"\"\n").unwrap();
        assert!(sections(&["codec", "core"], &allowed).is_empty());
        let faults = sections(&["codec", "proto"], &allowed);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("[proto]")));
        assert!(faults.iter().any(|fault| fault.contains("[core]")));
    }

    #[test]
    fn a_description_in_another_format_is_an_error() {
        assert!(uses(&json!({ "index": {}, "paths": {}, "external_crates": {} })).is_err());
        assert!(uses(&json!({ "items": {} })).is_err());
    }
}
