//! Builds fuzz targets with the instruments of libFuzzer.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use anyhow::Context;

use super::target::{MANIFEST, Target};
use crate::{step, workspace::Workspace};

/// The flags of `cargo fuzz --sanitizer none`: counters at every branch, and comparisons that tell what they compare.
const FLAGS: [&str; 7] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Builds the targets, and returns the folder of their programs.
pub(super) fn build(workspace: &Workspace, targets: &[Target]) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let folder = workspace.target().join("fuzz");
    let features: BTreeSet<&str> = targets
        .iter()
        .flat_map(|target| target.features.iter().map(String::as_str))
        .collect();
    let features: Vec<&str> = features.into_iter().collect();
    let mut build = workspace.cargo();
    // With a target of its own, the flags are not for build scripts and procedural macros.
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--manifest-path",
            MANIFEST,
        ])
        .args(["--target", &host, "--features", &features.join(",")])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", FLAGS.join(" "));
    for target in targets {
        build.args(["--bin", &target.name]);
    }
    step::quietly("Building the fuzz targets", build)?;
    Ok(folder.join(host).join("release"))
}

/// The platform of this machine, in the compiler's words.
fn host() -> anyhow::Result<String> {
    let mut version = Command::new("rustc");
    version.arg("-vV");
    let output = String::from_utf8(step::output(version)?)?;
    let line = output.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("`rustc -vV` names no host")?.to_owned())
}
