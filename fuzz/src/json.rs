//! Values of JSON that a reader of ours has accepted.

use serde_json::Value;

/// What `serde_json` says of JSON that it has no value for.
const NO_VALUE: [&str; 4] = [
    "number out of range",
    "lone leading surrogate",
    "unexpected end of hex escape",
    "recursion limit exceeded",
];

/// The value of JSON. `None` when a part of it is not a value of `serde_json`: a number, a half of a character or a depth
/// in members that a reader skips.
///
/// # Panics
/// When it is not JSON.
#[must_use]
pub fn json_value(json: &[u8]) -> Option<Value> {
    match serde_json::from_slice(json) {
        Ok(value) => Some(value),
        Err(error) => {
            let error = error.to_string();
            let is_known = NO_VALUE.iter().any(|reason| error.starts_with(reason));
            assert!(is_known, "{error}");
            None
        }
    }
}
