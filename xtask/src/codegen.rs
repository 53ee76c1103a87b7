//! `cargo xtask codegen`: writes the Rust of the .proto files.

use crate::{step, workspace::Workspace};

/// Runs the test that compares the committed code, in the mode in which it writes it.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command
        .args([
            "test",
            "--package",
            "temporal-kms-codec-proto",
            "--test",
            "generated",
        ])
        .env("UPDATE_GENERATED", "1");
    step::loudly(command)
}
