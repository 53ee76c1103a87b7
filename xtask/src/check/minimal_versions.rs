//! The oldest dependencies that the manifests allow are enough.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use tempfile::TempDir;

use crate::{packages::Metadata, step, workspace::Workspace};

/// What makes cargo accept its unstable options.
const UNSTABLE: (&str, &str) = ("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly");

/// Checks a copy of the workspace, whose lock file may be replaced.
pub(super) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let copy = TempDir::with_prefix("minimal-versions-")?;
    copy_sources(workspace, copy.path())?;

    step::heading("The oldest versions that the manifests name");
    let mut choose = workspace.cargo();
    choose.current_dir(copy.path()).env(UNSTABLE.0, UNSTABLE.1);
    choose.args(["update", "-Zdirect-minimal-versions"]);
    step::loudly(choose)?;

    step::heading("The published crates with them");
    let mut check = workspace.cargo();
    check.current_dir(copy.path());
    check.args(["check", "--locked", "--lib", "--bins"]);
    for package in Metadata::of_members(workspace)?.published() {
        check.args(["--package", &package.name]);
    }
    check
        .arg("--target-dir")
        .arg(workspace.target().join("minimal-versions"));
    step::loudly(check)
}

fn copy_sources(workspace: &Workspace, folder: &Path) -> anyhow::Result<()> {
    let mut list = Command::new("git");
    list.current_dir(workspace.root()).args(["ls-files", "-z"]);
    let names = String::from_utf8(step::output(list)?)?;
    for name in names.split_terminator('\0') {
        let source = workspace.root().join(name);
        // Removed, and not yet committed.
        if !source.is_file() {
            continue;
        }
        let copy: PathBuf = folder.join(name);
        let parent = copy.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent)?;
        fs::copy(&source, &copy).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}
