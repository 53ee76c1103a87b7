//! Runs the program of `benches/library`, which measures in its own process.

use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::{step, workspace::Workspace};

/// The numbers of one benchmark, which is called with these arguments.
pub(super) fn measure(
    workspace: &Workspace,
    arguments: &[&str],
    sdk: bool,
) -> anyhow::Result<Value> {
    let mut build = workspace.cargo();
    build.args(["build", "--release", "--package", "library-benchmarks"]);
    if sdk {
        build.args(["--features", "sdk"]);
    }
    step::quietly("Building the benchmarks with optimisation", build)?;
    let mut run = Command::new(workspace.target().join("release/library-benchmarks"));
    run.args(arguments);
    let output = step::output(run)?;
    serde_json::from_slice(&output).context("the benchmarks print no JSON")
}
