//! The fuzz targets, as their manifest names them.

use std::fs;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::workspace::Workspace;

pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

#[derive(Deserialize)]
struct Manifest {
    bin: Vec<Target>,
}

/// One target.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    /// What it needs of the crate `fuzz`.
    #[serde(default, rename = "required-features")]
    pub(super) features: Vec<String>,
}

/// Every target, in the order of the manifest.
pub(super) fn all(workspace: &Workspace) -> anyhow::Result<Vec<Target>> {
    let path = workspace.root().join(MANIFEST);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(manifest.bin)
}

/// The targets with these names; all of them when there are no names.
pub(super) fn named(all: Vec<Target>, names: &[String]) -> anyhow::Result<Vec<Target>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|target| target.name != **name))
    {
        bail!(
            "the fuzz target `{unknown}` does not exist; `cargo xtask fuzz --list` prints the names"
        );
    }
    let is_named = |target: &Target| names.is_empty() || names.contains(&target.name);
    Ok(all.into_iter().filter(is_named).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_target_has_a_file_and_every_file_is_a_target() {
        let workspace = Workspace::discover().unwrap();
        let named: BTreeSet<_> = all(&workspace)
            .unwrap()
            .into_iter()
            .map(|target| target.name)
            .collect();
        let files = fs::read_dir(workspace.root().join("fuzz/fuzz_targets")).unwrap();
        let files: BTreeSet<_> = files
            .map(|file| {
                file.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(named, files);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let target = |name: &str| Target {
            name: name.to_owned(),
            features: Vec::new(),
        };
        let all = || vec![target("one"), target("other")];
        assert_eq!(named(all(), &[]).unwrap().len(), 2);
        assert_eq!(
            named(all(), &["other".to_owned()]).unwrap()[0].name,
            "other"
        );
        let refused = named(all(), &["none".to_owned()]).unwrap_err().to_string();
        assert!(
            refused.contains("`none`") && refused.contains("--list"),
            "{refused}"
        );
    }
}
