//! What stands in the place of a payload that cannot be decoded, where the operator wants the rest to be seen.

use temporal_kms_codec::{Error, Payload, payload::ENCODING};

use super::refusal::{kind, words};

/// The metadata key that tells a placeholder from a value; it holds the error in one word.
const CODEC_ERROR: &str = "codec-error";

/// A text that says why, as a JSON string: every client shows that.
pub(super) fn placeholder(error: &Error) -> Payload {
    let text = serde_json::Value::String(format!("[cannot be decoded: {}]", words(error)));
    Payload {
        metadata: [
            (ENCODING.to_owned(), b"json/plain".to_vec()),
            (CODEC_ERROR.to_owned(), kind(error).as_bytes().to_vec()),
        ]
        .into(),
        data: text.to_string().into_bytes(),
        ..Payload::default()
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::{
        KeyUri, PayloadError,
        kms::{ProviderError, ProviderErrorKind},
    };

    use super::*;

    #[test]
    fn says_why_in_words_and_in_a_word() {
        let placeholder = placeholder(&PayloadError::NotAuthentic.into());
        assert_eq!(placeholder.metadata["encoding"], b"json/plain");
        assert_eq!(placeholder.metadata["codec-error"], b"not-authentic");
        let text: String = serde_json::from_slice(&placeholder.data).unwrap();
        assert!(
            text.starts_with("[cannot be decoded: the payload is not authentic"),
            "{text}"
        );
    }

    #[test]
    fn names_no_key() {
        let key: KeyUri = "aws-kms://arn:aws:kms:us-east-1:1:key/k".parse().unwrap();
        let error = ProviderError::new(ProviderErrorKind::KeyDisabled, &key);
        let placeholder = placeholder(&error.into());
        assert!(
            !String::from_utf8(placeholder.data)
                .unwrap()
                .contains("arn:")
        );
    }
}
