//! A change of the public API needs a version that says so.

use crate::{packages::Metadata, step, tools, workspace::Workspace};

use super::features::with_folder_of;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The revision to compare with: the tag of the last release
    baseline: String,
}

pub(super) fn check(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let tool = tools::provide(workspace, &tools::CARGO_SEMVER_CHECKS)?;
    let mut check = workspace.cargo();
    check.env("PATH", with_folder_of(&tool)?);
    check.args(["semver-checks", "--baseline-rev", &arguments.baseline]);
    for package in Metadata::of_members(workspace)?.stable()? {
        check.args(["--package", &package.name]);
    }
    step::loudly(check)
}
