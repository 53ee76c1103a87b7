//! Reads `envelope-v2.json`, for each program that tests with it.

use serde::Deserialize;

/// One vector. Bytes are in hexadecimal.
#[derive(Deserialize)]
#[allow(dead_code, reason = "not every program uses all of it")]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) dek: String,
    /// The canonical context.
    pub(crate) context: String,
    pub(crate) message_id: String,
    pub(crate) flags: u8,
    /// A serialized payload.
    pub(crate) plaintext: String,
    pub(crate) data: String,
    /// `open`, `authentication` or `malformed`.
    pub(crate) expect: String,
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

/// Every vector.
pub(crate) fn cases() -> Vec<Case> {
    let vectors: Vectors =
        serde_json::from_str(include_str!("envelope-v2.json")).expect("the file has vectors");
    vectors.cases
}
