//! What the fuzz targets share.

#[cfg(feature = "kms")]
pub mod cloud;
mod edits;
mod json;
mod key;
mod mutate;
mod runtime;
pub mod tink;

pub use edits::{Edit, edited};
pub use json::json_value;
pub use key::FixedKey;
pub use mutate::mutated_keyset;
pub use runtime::wait_for;

use temporal_kms_codec::{Namespace, Payload};

/// The namespace of every target.
///
/// # Panics
/// Never: the name is valid.
#[must_use]
pub fn namespace() -> Namespace {
    Namespace::new("default").expect("the name is valid")
}

/// A payload with one entry of metadata.
#[must_use]
pub fn payload(encoding: &str, data: Vec<u8>) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), encoding.as_bytes().to_vec())].into(),
        data,
        external_payloads: Vec::new(),
    }
}

/// Whether a text can be shown on a terminal: it has no control character beside line ends and tabs.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
}
