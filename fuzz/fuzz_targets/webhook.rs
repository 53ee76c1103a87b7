//! Webhooks: only the body, the time and the signature that were sent are genuine.

#![no_main]

use arbitrary::Arbitrary;
use claude_tasks::fuzzing::is_genuine;
use fuzz::{Edit, edited};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "secret";
const TIMESTAMP: &str = "1700000000";
const BODY: &[u8] = br#"{"a":1}"#;
/// As `openssl dgst -sha256 -hmac secret` signs it.
const SIGNATURE: &str = "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";

#[derive(Arbitrary, Debug)]
struct Input {
    timestamp: Vec<Edit>,
    signature: Vec<Edit>,
    body: Vec<Edit>,
    other: (String, String, Vec<u8>),
}

fuzz_target!(|input: Input| {
    assert!(is_genuine(SECRET, TIMESTAMP, SIGNATURE, BODY));
    let text = |text: &str, edits: &[Edit]| {
        let bytes = edited(text.as_bytes().to_vec(), edits);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let timestamp = text(TIMESTAMP, &input.timestamp);
    let signature = text(SIGNATURE, &input.signature);
    let body = edited(BODY.to_vec(), &input.body);
    // Space around a header, and the case of digits, mean nothing.
    let is_same = timestamp.trim() == TIMESTAMP
        && signature.trim().eq_ignore_ascii_case(SIGNATURE)
        && signature.trim().starts_with("sha256=")
        && body == BODY;
    assert_eq!(is_genuine(SECRET, &timestamp, &signature, &body), is_same);
    let (timestamp, signature, body) = &input.other;
    let is_same = timestamp.trim() == TIMESTAMP && body == BODY;
    assert!(is_same || !is_genuine(SECRET, timestamp, signature, body));
});
