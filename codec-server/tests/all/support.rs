//! The real binary on a free port, and a client that sends exactly the bytes that it is told to.

mod client;
mod cloud;
mod collector;
mod google_user;
mod process;
mod secure;

pub(crate) use client::{Answer, Connection, body_of, post, try_post};
pub(crate) use cloud::{CLOUD_KEY, Cloud};
pub(crate) use collector::{Collector, attribute};
pub(crate) use google_user::google_user;
pub(crate) use process::{
    CodecServer, DEFAULT, allow_many_files, create_key, program, run, run_with_input,
};
pub(crate) use secure::{Http2, Tls};

use std::{fmt::Debug, path::Path, thread, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

/// Longer than anything that these tests wait for: only a test that hangs meets it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks `look` again and again until it finds something. A test that waits too long fails with the last answer.
#[track_caller]
pub(crate) fn until<T, E: Debug>(mut look: impl FnMut() -> Result<T, E>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(
                started.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {last:?}"
            ),
        }
        thread::yield_now();
    }
}

/// What no log line and no foreign answer may hold.
pub(crate) const SECRET: &str = "correct-horse-battery-staple";

/// `{"payloads":[…]}` with one `json/plain` payload for each text.
pub(crate) fn plain(texts: &[&str]) -> Value {
    let payloads: Vec<Value> = texts.iter().map(|text| plain_payload(text)).collect();
    json!({ "payloads": payloads })
}

pub(crate) fn plain_payload(text: &str) -> Value {
    let data = serde_json::to_vec(text).unwrap();
    json!({"metadata": {"encoding": encode64(b"json/plain")}, "data": encode64(&data)})
}

pub(crate) fn encode64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A keyring with the default key.
pub(crate) fn keyring() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "default");
    folder
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs `encode` or `decode` with a keyring, and returns what it wrote.
#[track_caller]
pub(crate) fn transform(operation: &str, keyring: &Path, input: &[u8]) -> String {
    let output = run_with_input(
        &[operation, "--keyring", keyring.to_str().unwrap()],
        &[],
        input,
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}
