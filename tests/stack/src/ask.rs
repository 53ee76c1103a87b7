use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Runs a program with JSON on its input and returns the JSON that it prints.
///
/// # Panics
/// When the program does not start, fails, or prints anything else. The message holds its error output.
#[must_use]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fixture that cannot be set up fails its test"
)]
pub fn ask(mut command: Command, request: &Value) -> Value {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("its input");
    stdin
        .write_all(request.to_string().as_bytes())
        .expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{complaint}");
    serde_json::from_slice(&output.stdout).expect("it answers JSON")
}
