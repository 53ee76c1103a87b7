//! What the targets of key services in the cloud share.

mod answer;
mod known_dek;
mod service;

use std::error::Error;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;

pub use answer::Answer;
pub use known_dek::{KnownDek, codec};
pub use service::Service;

use crate::is_printable;

/// Longer than any text of ours about a failed call.
const LONGEST_TEXT: usize = 1000;

/// Checks that an error can be shown: it is short, it can be printed, and it has no byte of the data key or the plaintext.
///
/// # Panics
/// When it cannot be shown.
pub fn check_error(error: &(dyn Error + 'static)) {
    let true_dek = String::from_utf8_lossy(&KnownDek::TRUE).into_owned();
    let secrets = [
        STANDARD_NO_PAD.encode(KnownDek::TRUE),
        true_dek,
        KnownDek::PLAINTEXT.to_owned(),
    ];
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.len() <= LONGEST_TEXT && is_printable(&text), "{text}");
            assert!(
                !secrets.iter().any(|secret| text.contains(secret)),
                "{text}"
            );
        }
    }
}

/// Whether a value of JSON is the base64 of these data.
#[must_use]
pub fn is_base64(value: &Value, data: &[u8]) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.trim_end_matches('=') == STANDARD_NO_PAD.encode(data)
}
