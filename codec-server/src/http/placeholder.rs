//! The text that replaces a payload that cannot be decoded, so that the other payloads can still be read.
//!
//! `temporal` and `tctl` print a payload in readable form only when `encoding` is its only metadata key. So only the text
//! marks a placeholder, and an encrypted value can have the same text. The answer's header `codec-server-placeholders`
//! tells programs which payloads are placeholders.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, json};
use temporal_kms_codec::{Error, Payload, payload::ENCODING};

use super::{request_error::words, request_id::RequestId};

/// The only key of a placeholder.
const KEY: &str = "codec-server error";
/// How its text begins.
const BEGINNING: &str = "cannot be decoded: ";
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY));
/// Placeholders are shorter; larger values are not searched.
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
pub(super) fn is_placeholder(data: &[u8]) -> bool {
    let may_be = data.len() <= LONGEST && data.trim_ascii_start().starts_with(b"{");
    if !may_be || FINDER.find(data).is_none() {
        return false;
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(data) else {
        return false;
    };
    let text = object.get(KEY).and_then(Value::as_str);
    object.len() == 1 && text.is_some_and(|text| text.starts_with(BEGINNING))
}

#[cfg(test)]
mod tests {
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
        ] {
            assert!(!is_placeholder(other.as_bytes()), "{other}");
        }
    }
}
