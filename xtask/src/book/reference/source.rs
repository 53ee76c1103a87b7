//! The product's own source files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::workspace::Workspace;

/// The folders of the code that users run.
const FOLDERS: [&str; 7] = [
    "audit/src",
    "codec/src",
    "kms",
    "proto/src",
    "service/src",
    "codec-server/src",
    "worker-example/src",
];

/// A source file without its tests.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every source file of the product below `folders`, in the order of their names.
pub(super) fn files(workspace: &Workspace, folders: &[&str]) -> anyhow::Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&workspace.root().join(folder), &mut paths)
            .with_context(|| format!("cannot read {folder}"))?;
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(workspace.root()).unwrap_or(&path);
            Ok(Source {
                path: path.display().to_string(),
                text: without_tests(&text).to_owned(),
            })
        })
        .collect()
}

/// Every source file of the product.
pub(super) fn all(workspace: &Workspace) -> anyhow::Result<Vec<Source>> {
    files(workspace, &FOLDERS)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if ["tests", "tests.rs", "benches", "examples", "target"].contains(&&*name)
            || name.starts_with("test_")
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Tests are the last part of a file.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_left_out() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    const X: &str = \"Y\";\n}\n";
        assert_eq!(without_tests(text), "fn a() {}\n");
    }
}
