//! `cargo xtask soak` for ten seconds. It goes through every phase, and its limits end it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

use dev_servers::sibling_binary;
use serde_json::Value;

fn soak(arguments: &[&str]) -> Output {
    let program = |name| sibling_binary(name).unwrap();
    let mut command = Command::new(program("xtask"));
    command.args(["soak", "--json", "--codec-server"]);
    command.arg(program("codec-server"));
    command
        .arg("--fake-cloud-kms")
        .arg(program("fake-cloud-kms"));
    command.args(arguments).output().unwrap()
}

#[test]
fn ten_seconds_keep_the_limits() {
    // Other tests run meanwhile, so the latency may vary much.
    let output = soak(&[
        "--minutes",
        "0.17",
        "--most-drift",
        "1000",
        "--most-growth",
        "128",
    ]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["outages"], 3);
    assert_eq!(report["rotations"], 1);
    for count in ["failed", "wrong", "lost"] {
        assert_eq!(report[count], 0, "{report}");
    }
    for operation in report["operations"].as_array().unwrap() {
        assert!(operation["requests"].as_u64() > Some(20), "{report}");
    }
}

#[test]
fn a_limit_that_is_passed_ends_the_soak_with_an_error() {
    let output = soak(&["--minutes", "0.05", "--most-growth=-1000"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("memory grew by"), "{error}");
}
