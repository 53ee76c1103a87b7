use std::{
    env,
    io::Write as _,
    path::Path,
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

/// As [`ask`], of a program of `tests/interop`. `TKC_PYTHON` names a Python that has the packages of its `requirements.txt`.
///
/// # Panics
/// As [`ask`], and when `TKC_PYTHON` is not set.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a test fixture that cannot be set up fails its test"
)]
pub fn ask_python(program: &str, request: &Value) -> Value {
    let python = env::var_os("TKC_PYTHON")
        .expect("TKC_PYTHON is not set: run `cargo xtask test`, which provides it");
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop");
    let mut command = Command::new(python);
    command
        .arg(interop.join(program))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    ask(command, request)
}
