//! The text that replaces a payload that cannot be decoded, so that the other payloads can still be read.
//!
//! `temporal` and `tctl` print a payload in readable form only when `encoding` is its only metadata key. So only the text
//! marks a placeholder, and an encrypted value can have the same text. The answer's header `codec-server-placeholders`
//! tells programs which payloads are placeholders.

use serde::de::IgnoredAny;
use serde_json::json;
use temporal_kms_codec::{Error, Payload, payload::ENCODING};

use super::{request_error::words, request_id::RequestId};

/// The only key of a placeholder.
const KEY: &str = "codec-server error";
/// What is before its text, with spaces anywhere between these parts.
const BEFORE: [&[u8]; 4] = [b"{", br#""codec-server error""#, b":", b"\""];
/// How its text begins.
const BEGINNING: &str = "cannot be decoded: ";
/// Placeholders are shorter.
const LONGEST: usize = 2 << 10;

/// `{"codec-server error":"cannot be decoded: …"}` as `json/plain`.
pub(super) fn placeholder(error: &Error, request: RequestId) -> Payload {
    let text = format!(
        "{BEGINNING}{} (request {request} in the codec server's log)",
        words(error)
    );
    Payload {
        metadata: [(ENCODING.to_owned(), b"json/plain".to_vec())].into(),
        data: json!({ KEY: text }).to_string().into_bytes(),
        ..Payload::default()
    }
}

/// Whether the value is a placeholder. An editor may have changed its spaces.
///
/// Nothing of the value is copied: it is mostly another one, and secret.
pub(super) fn is_placeholder(data: &[u8]) -> bool {
    let may_be = data.len() <= LONGEST && behind_text(data).is_some_and(is_end);
    may_be
        && std::str::from_utf8(data)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// What is behind the text, if the value begins as a placeholder does.
fn behind_text(data: &[u8]) -> Option<&[u8]> {
    let text = BEFORE.iter().try_fold(data, |rest, part| {
        rest.trim_ascii_start().strip_prefix(*part)
    })?;
    let mut rest = text.strip_prefix(BEGINNING.as_bytes())?.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return Some(rest.as_slice()),
            b'\\' => {
                rest.next();
            }
            _ => {}
        }
    }
    None
}

fn is_end(rest: &[u8]) -> bool {
    rest.trim_ascii() == b"}"
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use dev_servers::{Masked, own_memory_holds};
    use serde_json::Value;
    use temporal_kms_codec::{
        KeyUri, PayloadError,
        kms::{ProviderError, ProviderErrorKind},
    };

    use super::*;

    #[test]
    fn says_why_and_has_no_metadata_but_the_encoding() {
        let id = RequestId::next();
        let placeholder = placeholder(&PayloadError::NotAuthentic.into(), id);
        assert_eq!(placeholder.metadata.len(), 1);
        assert_eq!(placeholder.metadata["encoding"], b"json/plain");
        let value: Value = serde_json::from_slice(&placeholder.data).unwrap();
        let text = value[KEY].as_str().unwrap();
        assert!(text.starts_with("cannot be decoded: the payload"), "{text}");
        assert!(text.contains(&id.to_string()), "{text}");
    }

    #[test]
    fn names_no_key() {
        let key: KeyUri = "aws-kms://arn:aws:kms:us-east-1:1:key/k".parse().unwrap();
        let error = ProviderError::new(ProviderErrorKind::KeyDisabled, &key);
        let placeholder = placeholder(&error.into(), RequestId::next());
        assert!(
            !String::from_utf8(placeholder.data)
                .unwrap()
                .contains("arn:")
        );
    }

    #[test]
    fn is_recognised_after_an_editor_has_reformatted_it() {
        let ours = placeholder(&PayloadError::NotAuthentic.into(), RequestId::next());
        assert!(is_placeholder(&ours.data));
        let value: Value = serde_json::from_slice(&ours.data).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert!(is_placeholder(pretty.as_bytes()));
        assert!(is_placeholder(format!("\r\n\t {pretty} \n").as_bytes()));
        for other in [
            "",
            "\"codec-server error\"",
            r#"{"codec-server error":"something else"}"#,
            r#"{"codec-server error":"cannot be decoded: x","more":1}"#,
            r#"{"note":"codec-server error: cannot be decoded: x"}"#,
            r#"[{"codec-server error":"cannot be decoded: x"}]"#,
            r#"{"codec-server error":"cannot be decoded: x""#,
            r#"{"codec-server error":"cannot be decoded: x"}}"#,
            r#"{"codec-server error":"cannot be decoded: \x"}"#,
            r#"{"codec-server error":"cannot be decoded: x\"}"#,
            "{\"codec-server error\":\"cannot be decoded: \n\"}",
            "{\u{c}\"codec-server error\":\"cannot be decoded: x\"}",
        ] {
            assert!(!is_placeholder(other.as_bytes()), "{other}");
        }
        let quoted = r#"{"codec-server error":"cannot be decoded: \"x\" \\"}"#;
        assert!(is_placeholder(quoted.as_bytes()));
        let not_utf8 = b"{\"codec-server error\":\"cannot be decoded: \xff\"}";
        assert!(!is_placeholder(not_utf8));
    }

    /// A parser that gives a string has removed its escapes, so it has copied it. What was freed and not erased stays in memory
    /// for a while. Allocators write at its ends, so the secret is in its middle.
    #[test]
    fn no_copy_of_another_value_is_left_in_memory() {
        let secret = Masked::of((0..40).map(|at: u8| at.wrapping_mul(57) % 94 + b'!'));
        let filler = "-".repeat(400);
        let mut value = format!(r#"{{"codec-server error":"x","more":"{filler}"#);
        for byte in secret.bytes() {
            let _ = write!(value, "\\u{byte:04x}");
        }
        value.push_str(&filler);
        value.push_str("\"}");
        assert!(value.len() <= LONGEST);
        assert!(!own_memory_holds(&secret).unwrap());
        assert!(!is_placeholder(value.as_bytes()));
        assert!(!own_memory_holds(&secret).unwrap(), "it is still in memory");
    }
}
