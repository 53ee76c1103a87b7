//! Every combination of features compiles.

use std::{ffi::OsString, path::Path};

use anyhow::Context;

use crate::{packages::Metadata, step, tools, workspace::Workspace};

/// The library cannot encrypt without one of them.
const CRYPTOGRAPHY: [&str; 2] = ["aes-gcm", "aws-lc-rs"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Every pair of features instead of every combination
    #[arg(long)]
    pairs: bool,
    /// Only this package
    #[arg(long, short)]
    package: Option<String>,
}

pub(super) fn check(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let hack = tools::provide(workspace, &tools::CARGO_HACK)?;
    let metadata = Metadata::of_members(workspace)?;
    let chosen = |name: &String| arguments.package.as_ref().is_none_or(|only| only == name);
    for package in metadata.published().filter(|package| chosen(&package.name)) {
        let mut check = workspace.cargo();
        check.env("PATH", with_folder_of(&hack)?);
        check.args(["hack", "check", "--locked", "--package", &package.name]);
        check.arg("--feature-powerset");
        if arguments.pairs {
            check.arg("--depth=2");
        }
        if CRYPTOGRAPHY
            .iter()
            .all(|name| package.features.contains_key(*name))
        {
            check.arg(format!("--at-least-one-of={}", CRYPTOGRAPHY.join(",")));
        }
        step::loudly(check)?;
    }
    Ok(())
}

/// The `PATH` with the pinned tools first, where cargo looks for `cargo-hack`.
pub(super) fn with_folder_of(tool: &Path) -> anyhow::Result<OsString> {
    let folder = tool.parent().context("a tool lies in a folder")?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the PATH has a folder with a colon in its name")
}
