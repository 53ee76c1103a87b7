//! The other side of the interop tests: Tink and our formats in Python.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use temporal_kms_codec::Payload;
use temporal_kms_codec_proto::json::{parse_payload, write_payload};

use crate::tool;

/// Writes a keyset of `keys` keys by Tink.
pub fn create_keyset(path: &Path, keys: usize) {
    call("create_keyset", json!({ "path": path, "keys": keys }));
}

/// Adds a primary key to a keyset by Tink.
pub fn rotate_keyset(path: &Path) {
    call("rotate_keyset", json!({ "path": path }));
}

/// The ids of a keyset's keys as Tink reads them, the primary one first.
#[must_use]
pub fn key_ids(path: &Path) -> Vec<u32> {
    let answer = call("key_ids", json!({ "path": path }));
    serde_json::from_value(answer).expect("key ids")
}

/// Encrypts by Tink.
#[must_use]
pub fn wrap(path: &Path, plaintext: &[u8], associated_data: &[u8]) -> Vec<u8> {
    let arguments = json!({
        "path": path,
        "plaintext": hex(plaintext),
        "associated_data": hex(associated_data),
    });
    unhex(&call("wrap", arguments))
}

/// Decrypts by Tink, which must succeed.
#[must_use]
pub fn unwrap(path: &Path, ciphertext: &[u8], associated_data: &[u8]) -> Vec<u8> {
    let arguments = json!({
        "path": path,
        "ciphertext": hex(ciphertext),
        "associated_data": hex(associated_data),
    });
    unhex(&call("unwrap", arguments))
}

/// Seals `payload` in `format` under the keyset in `keys`; `more` are the format's arguments.
#[must_use]
pub fn seal(format: &str, payload: &Payload, keys: &Path, more: &Value) -> Payload {
    let mut arguments = json!({ "format": format, "payload": to_json(payload), "keys": keys });
    merge(&mut arguments, more);
    from_json(&call("seal", arguments))
}

/// Opens a payload in `format` with the keyset in `keys`.
#[must_use]
pub fn open(format: &str, payload: &Payload, keys: &Path) -> Payload {
    let arguments = json!({ "format": format, "payload": to_json(payload), "keys": keys });
    from_json(&call("open", arguments))
}

fn call(operation: &str, mut request: Value) -> Value {
    merge(&mut request, &json!({ "operation": operation }));
    run("interop.py", &request)
}

/// Runs a program of `tests/interop` with JSON on its input and returns the JSON that it prints.
#[must_use]
pub fn run(program: &str, request: &Value) -> Value {
    dev_servers::ask(command(program), request)
}

/// A program of `tests/interop`.
#[must_use]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(tool("TKC_PYTHON"));
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("interop")
            .join(program),
    );
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn merge(object: &mut Value, more: &Value) {
    let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) else {
        return;
    };
    object.extend(more.clone());
}

fn to_json(payload: &Payload) -> Value {
    serde_json::from_slice(&write_payload(payload)).expect("our JSON")
}

fn from_json(value: &Value) -> Payload {
    parse_payload(value.to_string().as_bytes()).expect("a payload")
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or_default()).expect("hexadecimal text")
}
