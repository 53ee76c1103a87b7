//! What is signed: a digest of the request that does not depend on the order of its fields.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A change of what is signed changes this, so that no signature counts for both.
const PURPOSE: &str = "claude-tasks request v1";

/// The text that is signed. It holds the SHA-256 of the request and not the request: a key service sees no secret.
pub(super) fn message(request: &Value, namespace: &str, expires: u64) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, request);
    let digest = hex::encode(hash.finalize());
    // A namespace has no line break.
    format!("{PURPOSE}\n{namespace}\n{expires}\n{digest}\n")
}

/// Each value is fed with its type and its length, so that no two values are fed as the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => feed_text(hash, b"d", &number.to_string()),
        Value::String(text) => feed_text(hash, b"s", text),
        Value::Array(values) => {
            feed_length(hash, b"a", values.len());
            for value in values {
                feed(hash, value);
            }
        }
        Value::Object(fields) => {
            feed_length(hash, b"o", fields.len());
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (name, value) in sorted {
                feed_text(hash, b"s", name);
                feed(hash, value);
            }
        }
    }
}

fn feed_text(hash: &mut Sha256, kind: &[u8], text: &str) {
    feed_length(hash, kind, text.len());
    hash.update(text);
}

fn feed_length(hash: &mut Sha256, kind: &[u8], length: usize) {
    hash.update(kind);
    hash.update((length as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_change_changes_the_message() {
        let base = json!({"a": "x", "b": ["y", 1, null, true]});
        let message = |value: &Value| message(value, "default", 1);
        let reordered: Value =
            serde_json::from_str(r#"{"b": ["y", 1, null, true], "a": "x"}"#).unwrap();
        assert_eq!(message(&base), message(&reordered));
        for other in [
            json!({"a": "x", "b": ["y", 1, null, false]}),
            json!({"a": "x", "b": ["y", "1", null, true]}),
            json!({"a": "x", "b": ["y", 1, null, true], "c": null}),
            json!({"a": "x", "b": [["y", 1, null, true]]}),
            json!({"ab": "x", "": ["y", 1, null, true]}),
        ] {
            assert_ne!(message(&base), message(&other), "{other}");
        }
        assert_ne!(super::message(&base, "other", 1), message(&base));
        assert_ne!(super::message(&base, "default", 2), message(&base));
    }
}
