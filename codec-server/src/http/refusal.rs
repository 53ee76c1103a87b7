//! Everything that a request can be refused for, and the one place where that becomes an answer.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use temporal_kms_codec::{Error, Namespace, PayloadError, kms::ProviderErrorKind};
use temporal_kms_codec_proto::json::JsonError;

use super::{Response, route::Operation};
use crate::namespaces::NotServed;

/// Why a request is not answered with payloads. `Display` is shown to the user as it is: no payload byte, no key,
/// no word of a KMS.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "this server answers on its local names only (localhost, 127.0.0.1, [::1]); a proxy's name must be in \
         `allowed_hosts` of its configuration"
    )]
    ForeignHost,
    #[error(
        "this web page may not use the codec server; its origin must be in `allowed_origins` of its configuration"
    )]
    ForeignOrigin,
    #[error("there is nothing here; a codec server answers POST requests to /encode and /decode")]
    UnknownPath,
    #[error(
        "the codec server is connected, but has no download of externally stored payloads configured"
    )]
    NoDownload,
    #[error("only POST requests are answered here")]
    NotPost,
    #[error("the header X-Namespace is no name of a namespace")]
    BadNamespace,
    #[error(
        "the request names two namespaces, one in the header X-Namespace and another one in its path or a second header"
    )]
    TwoNamespaces,
    #[error("this codec server does not serve the namespace {0}")]
    UnknownNamespace(Namespace),
    #[error("the request is larger than {limit} bytes, which is the limit")]
    BodyTooLarge { limit: usize },
    #[error("the request's body did not arrive in time")]
    BodyTooSlow,
    #[error("the request's body broke off or is malformed")]
    BodyBroken,
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error(
        "the decoded payloads are larger than {limit} bytes, which is the limit; ask for fewer at a time"
    )]
    AnswerTooLarge { limit: usize },
    #[error("the server is busy; try again in a moment")]
    Busy,
    #[error(
        "the request took too long, most likely because the key management service is slow; try again"
    )]
    TooSlow,
    #[error("the server lost a payload on its way; this is a defect of the server")]
    Miscounted,
    #[error("{}", encode_words(.0))]
    Encode(#[source] Error),
    #[error("`payloads[{index}]`: {}", words(.error))]
    Decode {
        /// Counted from 0, as in the words of [`JsonError`].
        index: usize,
        #[source]
        error: Error,
    },
}

impl From<NotServed> for Refusal {
    fn from(error: NotServed) -> Self {
        match error {
            NotServed::Contradiction => Self::TwoNamespaces,
            NotServed::Unknown(namespace) => Self::UnknownNamespace(namespace),
        }
    }
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::NoDownload | Self::UnknownNamespace(_) => {
                StatusCode::NOT_FOUND
            }
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge { .. }
            | Self::AnswerTooLarge { .. }
            | Self::Json(JsonError::TooManyPayloads { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadNamespace | Self::TwoNamespaces | Self::BodyBroken | Self::Json(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            Self::Miscounted => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Encode(error) => codec_status(error, Operation::Encode),
            Self::Decode { error, .. } => codec_status(error, Operation::Decode),
        }
    }

    /// Whether the same request can succeed in a moment.
    fn may_be_retried(&self) -> bool {
        match self {
            Self::Busy | Self::TooSlow => true,
            Self::Encode(error) | Self::Decode { error, .. } => error.is_transient(),
            _ => false,
        }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = http::Response::new(Full::new(Bytes::from(format!("{self}\n"))));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if matches!(self, Self::NotPost) {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        }
        if self.may_be_retried() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn codec_status(error: &Error, operation: Operation) -> StatusCode {
    match error {
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        Error::Payload(_) => StatusCode::BAD_REQUEST,
        Error::Provider(_) if operation == Operation::Decode && !is_servers_fault(error) => {
            StatusCode::BAD_REQUEST
        }
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

fn encode_words(error: &Error) -> &'static str {
    match error {
        Error::Payload(_) => "a payload cannot be encoded",
        error if error.is_transient() => words_of_kind(error),
        _ => "the server cannot use its encryption key; its operator finds the reason in its log",
    }
}

/// An error in words for the user. What a provider's error says beyond its kind names keys, and is for the log.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Payload(PayloadError::KeyNotAllowed { .. }) => KEY_NOT_ALLOWED.to_owned(),
        Error::Payload(error) => error.to_string(),
        other => words_of_kind(other).to_owned(),
    }
}

/// Which key it is, the log says.
const KEY_NOT_ALLOWED: &str = "the payload is encrypted with a key that this server may not use; its operator finds the key in its log";

fn words_of_kind(error: &Error) -> &'static str {
    use ProviderErrorKind as Kind;
    let Error::Provider(error) = error else {
        return "the server is set up wrongly; its operator finds the reason in its log";
    };
    match error.kind() {
        Kind::PermissionDenied => {
            "the server may not use the key that the payload was encrypted with"
        }
        Kind::KeyNotFound => "the key that the payload was encrypted with does not exist any more",
        Kind::KeyDisabled => "the key that the payload was encrypted with is disabled or destroyed",
        Kind::InvalidCiphertext | Kind::ContextMismatch => {
            "the payload's data key was altered, moved from where it was written, or wrapped by another key"
        }
        Kind::Throttled => {
            "the key management service limits the rate of calls; try again in a moment"
        }
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Integrity => {
            "the key management service cannot be reached; try again in a moment"
        }
        _ => "the server is set up wrongly; its operator finds the reason in its log",
    }
}

/// An error in one short word, for programs.
pub(super) fn kind(error: &Error) -> &'static str {
    use ProviderErrorKind as Kind;
    use temporal_kms_codec::PayloadError as P;
    match error {
        Error::Payload(P::Malformed(_)) => "malformed",
        Error::Payload(P::NotAuthentic) => "not-authentic",
        Error::Payload(P::ForeignNamespace { .. }) => "foreign-namespace",
        Error::Payload(P::ForeignContext(_)) => "foreign-context",
        Error::Payload(P::MissingContext(_)) => "missing-context",
        Error::Payload(P::FormatNotAllowed { .. }) => "format-not-allowed",
        Error::Payload(P::KeyNotAllowed { .. }) => "key-not-allowed",
        Error::Payload(P::PlaintextRefused) => "plaintext-refused",
        Error::Payload(P::TooLarge { .. }) => "too-large",
        Error::Payload(P::NestedTooDeep(_)) => "nested-too-deep",
        Error::Payload(P::Unsupported(_)) => "unsupported",
        Error::Provider(error) => match error.kind() {
            Kind::PermissionDenied => "permission-denied",
            Kind::KeyNotFound => "key-not-found",
            Kind::KeyDisabled => "key-disabled",
            Kind::InvalidCiphertext | Kind::ContextMismatch => "not-authentic",
            _ => "key-unusable",
        },
        _ => "undecodable",
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::{KeyUri, PayloadError, kms::ProviderError};

    use super::*;

    fn provider(kind: ProviderErrorKind) -> Error {
        let key: KeyUri = "aws-kms://arn:aws:kms:us-east-1:1:key/theirs"
            .parse()
            .unwrap();
        ProviderError::new(kind, &key)
            .with_detail("sk-detail")
            .into()
    }

    #[test]
    fn a_kms_that_is_away_is_unavailable_and_may_be_tried_again() {
        use ProviderErrorKind::{DeadlineExceeded, Integrity, Throttled, Unavailable};
        for kind in [Throttled, Unavailable, DeadlineExceeded, Integrity] {
            for refusal in [
                Refusal::Encode(provider(kind)),
                Refusal::Decode {
                    index: 0,
                    error: provider(kind),
                },
            ] {
                assert!(
                    refusal.to_string().contains("try again in a moment"),
                    "{refusal}"
                );
                let response = refusal.into_response();
                assert_eq!(
                    response.status(),
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{kind:?}"
                );
                assert!(response.headers().contains_key(header::RETRY_AFTER));
            }
        }
    }

    #[test]
    fn who_is_at_fault_decides_the_status() {
        use ProviderErrorKind as Kind;
        let decode = |error| Refusal::Decode { index: 3, error }.status().as_u16();
        assert_eq!(decode(PayloadError::NotAuthentic.into()), 400);
        assert_eq!(decode(provider(Kind::InvalidCiphertext)), 400);
        assert_eq!(decode(provider(Kind::KeyDisabled)), 400);
        assert_eq!(decode(provider(Kind::PermissionDenied)), 503);
        assert_eq!(decode(provider(Kind::Misconfigured)), 503);
        let encode = |error| Refusal::Encode(error).status().as_u16();
        assert_eq!(encode(PayloadError::Unsupported("x").into()), 400);
        assert_eq!(encode(provider(Kind::KeyDisabled)), 503);
        let too_many = JsonError::TooManyPayloads { limit: 1 };
        assert_eq!(Refusal::Json(too_many).status().as_u16(), 413);
    }

    #[test]
    fn users_are_told_no_key_and_no_detail() {
        use ProviderErrorKind as Kind;
        for kind in [
            Kind::PermissionDenied,
            Kind::KeyNotFound,
            Kind::KeyDisabled,
            Kind::InvalidCiphertext,
            Kind::ContextMismatch,
            Kind::Throttled,
            Kind::Unavailable,
            Kind::DeadlineExceeded,
            Kind::Integrity,
            Kind::Misconfigured,
        ] {
            let decode = Refusal::Decode {
                index: 0,
                error: provider(kind),
            }
            .to_string();
            let encode = Refusal::Encode(provider(kind)).to_string();
            for words in [decode, encode] {
                assert!(
                    !words.contains("arn:") && !words.contains("sk-detail"),
                    "{words}"
                );
            }
        }
    }
}
