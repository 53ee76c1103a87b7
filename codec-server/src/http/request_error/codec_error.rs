//! The status and the words for an error of the codec.

use http::StatusCode;
use temporal_kms_codec::{Error, PayloadError, kms::ProviderErrorKind};

const DECODES_ONLY: &str =
    "the server only decodes the payloads of this namespace; encode with the codec of your workers";
/// The log names the key.
const KEY_NOT_ALLOWED: &str = "the payload is encrypted with a key that this server is not configured to use; the server's log names the key";

/// A payload that cannot be encrypted is the caller's fault, everything else the server's.
pub(super) fn encode_status(error: &Error) -> StatusCode {
    match error {
        Error::Payload(_) if !error.is_transient() => StatusCode::BAD_REQUEST,
        Error::DecryptOnly => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A payload names its key: where the key does not open it, the payload is at fault.
pub(super) fn decode_status(error: &Error) -> StatusCode {
    match error {
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        Error::Payload(_) => StatusCode::BAD_REQUEST,
        Error::Provider(_) if !is_servers_fault(error) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn is_servers_fault(error: &Error) -> bool {
    use ProviderErrorKind::{Misconfigured, PermissionDenied};
    match error {
        Error::Provider(error) => matches!(error.kind(), PermissionDenied | Misconfigured),
        Error::Configuration(_) => true,
        _ => false,
    }
}

pub(super) fn encode_words(error: &Error) -> String {
    match error {
        Error::Payload(_) => format!("a payload cannot be encrypted: {}", words(error)),
        error if error.is_transient() => words_of_kind(error).to_owned(),
        Error::DecryptOnly => DECODES_ONLY.to_owned(),
        _ => {
            "the server cannot use its encryption key; the reason is in the server's log".to_owned()
        }
    }
}

/// An error in words for the user. Only the log names keys: they may belong to others.
pub(in crate::http) fn words(error: &Error) -> String {
    match error {
        Error::Payload(
            PayloadError::KeyNotAllowed { .. } | PayloadError::UnknownStaticKey { .. },
        ) => KEY_NOT_ALLOWED.to_owned(),
        Error::Payload(error) => error.to_string(),
        other => words_of_kind(other).to_owned(),
    }
}

fn words_of_kind(error: &Error) -> &'static str {
    use ProviderErrorKind as Kind;
    let Error::Provider(error) = error else {
        return "the server is not configured correctly; the reason is in the server's log";
    };
    match error.kind() {
        Kind::PermissionDenied => {
            "the server may not use the key that the payload was encrypted with; the server's log names the key"
        }
        Kind::KeyNotFound => {
            "the key that the payload was encrypted with does not exist; the server's log names the key"
        }
        Kind::KeyDisabled => {
            "the key that the payload was encrypted with is disabled or destroyed; the server's log names the key"
        }
        Kind::KeyVersionGone => {
            "the version of the key that the payload was encrypted with is destroyed, or the key never had it; the server's log names the key"
        }
        Kind::InvalidCiphertext | Kind::ContextMismatch => {
            "the payload's data key was altered, moved from where it was written, or wrapped by another key"
        }
        Kind::Throttled => {
            "the key management service limits the rate of calls; try again in a moment"
        }
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Integrity => {
            "the key management service cannot be reached or does not answer correctly; try again in a moment"
        }
        _ => "the server is not configured correctly; the reason is in the server's log",
    }
}
