//! Why a request is refused.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};
use temporal_kms_codec::{
    Error, Inspection, Payload, PayloadError, SharedPayload, kms::ProviderErrorKind,
    payload::KMS_KEY,
};
use temporal_kms_codec_proto::json::JsonError;
use temporal_kms_codec_service::{
    audit::NotAudited,
    auth::{Denied, LoginError, Refused},
    telemetry::ShedReason,
    terminal,
};

use crate::namespaces::Unresolved;

/// Why a request is refused. `Display` is shown to the user: it has no payload byte, no key and no text of a KMS.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(
        "this server answers requests to localhost, 127.0.0.1, [::1] and its configured names only; to allow another \
         name, add it to `allowed_hosts` in section [server] of the codec server's configuration"
    )]
    ForeignHost,
    #[error(
        "this web page may not use the codec server; to allow it, add its origin to `allowed_origins` in section [cors] \
         of the codec server's configuration"
    )]
    ForeignOrigin,
    #[error(
        "a request with cookies must come from a web page whose origin is listed; add the origin of your Web UI to \
         `allowed_origins` in section [cors] of the codec server's configuration, or send a token instead of cookies"
    )]
    CookieOrigin,
    #[error("a request with cookies must have the header Content-Type: application/json; send it")]
    CookieContentType,
    #[error("{0}")]
    Unauthenticated(#[from] Refused),
    #[error("{0}")]
    Denied(#[from] Denied),
    #[error(
        "this codec server does not sign people in; send a token, or add section [auth.login] to its configuration"
    )]
    NoLogin,
    #[error(
        "the state of the server is shown to callers with the role `admin`; ask for the permission NAMESPACE:admin"
    )]
    NotAdmin,
    #[error("{0}")]
    Login(LoginError),
    #[error("not found; a codec server answers POST requests to /encode and /decode")]
    UnknownPath,
    #[error(
        "the codec server is connected, but it has no download of externally stored payloads; read them where they are stored"
    )]
    NoDownload,
    #[error("only POST requests are answered here; send a POST request")]
    NotPost,
    #[error(
        "the header X-Namespace is not a valid namespace; send the name of a namespace, at most 1000 bytes of UTF-8"
    )]
    BadNamespace,
    #[error("the request names two namespaces: its path and its X-Namespace headers must agree")]
    TwoNamespaces,
    #[error(
        "this codec server does not serve the namespace {}; add a section [namespaces.\"{}\"] to its configuration",
        shown(.0),
        shown(.0)
    )]
    UnknownNamespace(String),
    #[error(
        "this codec server does not serve the namespace {}, which the path names; send the header X-Namespace, or, if \
         this is not a namespace, add the path to `path_prefixes` in section [server] of the codec server's configuration",
        shown(.0)
    )]
    UnknownNamespaceInPath(String),
    #[error(
        "the request is larger than {limit} bytes, which is the limit; send fewer payloads at a time, or raise `max_body`"
    )]
    BodyTooLarge { limit: usize },
    #[error("the request's body did not arrive in time; send it again, or raise `body_timeout`")]
    BodyTooSlow,
    #[error("the request's body is incomplete or malformed; send it again")]
    BodyBroken,
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error(
        "the decoded payloads are larger than {limit} bytes, which is the limit; ask for fewer at a time"
    )]
    AnswerTooLarge { limit: usize },
    #[error(
        "decompressing the payloads counts as more than {limit} bytes together, which is the limit: twice `max_answer`; ask for fewer at a time, or raise `max_answer`"
    )]
    DecompressedTooLarge { limit: usize },
    /// The requests together take too much memory.
    #[error("the server is busy; try again in a moment")]
    Busy,
    /// Too many requests are being worked on.
    #[error("the server is busy; try again in a moment")]
    NoPlace,
    #[error("the server has more requests than it can take; try again in a moment")]
    Overloaded,
    #[error("there are too many requests {limited}; try again in a moment")]
    TooMany { limited: Limited, wait: Duration },
    #[error(
        "the request took too long, most likely because the key management service is slow; try again"
    )]
    TooSlow,
    #[error("the server lost a payload; this is a defect of the server, please report it")]
    Miscounted,
    #[error(
        "`payloads[{index}]` is a placeholder of the codec server, not a value; if it were saved, it would replace the \
         encrypted value that could not be decoded. Enter the whole value again, or make it decodable first"
    )]
    Placeholder { index: usize },
    #[error(
        "the value of `payloads[{index}]` is the JSON of an encrypted payload; if it were saved, it would replace the \
         value that could not be decoded. Enter the whole value again, or make it decodable first"
    )]
    ShownCiphertext { index: usize },
    #[error(
        "the server cannot write its audit log, so it does nothing that it could not record; try again when the operator \
         has corrected that"
    )]
    NotAudited,
    #[error("{}", encode_words(.0))]
    Encode(#[source] Box<Error>),
    #[error("`payloads[{index}]`: {}", words(.error))]
    Decode {
        /// Counted from 0, as in the words of [`JsonError`].
        index: usize,
        /// The key that the payload names.
        key: Option<String>,
        #[source]
        error: Box<Error>,
    },
}

/// Whose limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    Caller,
    Namespace,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "from you",
            Self::Namespace => "for this namespace",
        })
    }
}

impl From<NotAudited> for RequestError {
    fn from(_: NotAudited) -> Self {
        Self::NotAudited
    }
}

impl From<Unresolved> for RequestError {
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Contradiction(_) => Self::TwoNamespaces,
            Unresolved::Unknown(namespace) => Self::UnknownNamespace(namespace.to_string()),
            Unresolved::UnknownInPath(segment) => Self::UnknownNamespaceInPath(segment),
        }
    }
}

impl RequestError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::ForeignHost
            | Self::ForeignOrigin
            | Self::CookieOrigin
            | Self::CookieContentType
            | Self::NotAdmin
            | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::Unauthenticated(refused) => refused.status(),
            Self::Login(error) => error.status(),
            Self::UnknownPath
            | Self::NoLogin
            | Self::NoDownload
            | Self::UnknownNamespace(_)
            | Self::UnknownNamespaceInPath(_) => StatusCode::NOT_FOUND,
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge { .. }
            | Self::AnswerTooLarge { .. }
            | Self::DecompressedTooLarge { .. }
            | Self::Json(JsonError::TooManyPayloads { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadNamespace
            | Self::TwoNamespaces
            | Self::BodyBroken
            | Self::Json(_)
            | Self::Placeholder { .. }
            | Self::ShownCiphertext { .. } => StatusCode::BAD_REQUEST,
            Self::Busy | Self::NoPlace | Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow | Self::Overloaded | Self::NotAudited => StatusCode::SERVICE_UNAVAILABLE,
            Self::Miscounted => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Encode(error) => encode_status(error),
            Self::Decode { error, .. } => decode_status(error),
        }
    }

    /// In how many seconds the same request may succeed.
    pub(super) fn retry_after(&self) -> Option<HeaderValue> {
        let soon = match self {
            Self::TooMany { wait, .. } => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                return HeaderValue::try_from(seconds.to_string()).ok();
            }
            Self::Busy
            | Self::NoPlace
            | Self::TooSlow
            | Self::Overloaded
            | Self::Login(LoginError::Busy)
            | Self::Unauthenticated(Refused::Unavailable) => true,
            Self::Encode(error) | Self::Decode { error, .. } => error.is_transient(),
            _ => false,
        };
        match self.status() {
            _ if soon => Some(HeaderValue::from_static("1")),
            // An operator has to grant a permission or correct a setting first.
            StatusCode::SERVICE_UNAVAILABLE => Some(HeaderValue::from_static("60")),
            _ => None,
        }
    }

    /// The limit that was reached.
    pub(super) fn shed_reason(&self) -> Option<ShedReason> {
        match self {
            Self::Busy => Some(ShedReason::Memory),
            Self::NoPlace | Self::Overloaded | Self::Login(LoginError::Busy) => {
                Some(ShedReason::Concurrency)
            }
            Self::TooMany { .. } => Some(ShedReason::RateLimit),
            _ => None,
        }
    }

    /// The text for the log. It names the key, which users do not see.
    pub(super) fn for_operator(&self) -> String {
        match self {
            Self::Encode(error) => error.to_string(),
            Self::Decode { index, key, error } => {
                let key = key.as_deref().unwrap_or("no key");
                format!("`payloads[{index}]`, encrypted with {key}: {error}")
            }
            Self::Unauthenticated(refused) => {
                format!("not authenticated ({}): {refused}", refused.label())
            }
            other => other.to_string(),
        }
    }
}

/// The key that a payload names, for the log.
pub(super) fn wanted_key(payload: &Payload) -> Option<String> {
    let key = std::str::from_utf8(payload.metadata.get(KMS_KEY)?).ok()?;
    Some(shown(key))
}

/// All keys that a payload names, in the form of its format: `static:ID` for a static key, and each recipient of an
/// envelope.
pub(super) fn named_keys(payload: &SharedPayload) -> Vec<String> {
    let payload = &head_of(payload);
    let keys = Inspection::key_names(payload);
    let mut names: Vec<_> = keys.iter().map(|name| shown(name)).collect();
    if names.is_empty() {
        // Of a broken payload, at least what it says.
        names.extend(wanted_key(payload));
    }
    names
}

/// A payload with the beginning of its data, which names its keys.
fn head_of(payload: &SharedPayload) -> Payload {
    const LONGEST: usize = 4096;
    let head = payload.data.get(..LONGEST).unwrap_or(&payload.data);
    SharedPayload::new(Arc::clone(&payload.metadata), head.to_vec()).into_payload()
}

/// A text from outside, made safe to show.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 256;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", terminal::line(text.get(..end).unwrap_or_default())),
        None => terminal::line(text),
    }
}

/// A payload that cannot be encrypted is the caller's fault, everything else the server's.
fn encode_status(error: &Error) -> StatusCode {
    match error {
        Error::Payload(_) if !error.is_transient() => StatusCode::BAD_REQUEST,
        Error::DecryptOnly => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A payload names its key: where the key does not open it, the payload is at fault.
fn decode_status(error: &Error) -> StatusCode {
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

fn encode_words(error: &Error) -> String {
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
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Payload(
            PayloadError::KeyNotAllowed { .. } | PayloadError::UnknownStaticKey { .. },
        ) => KEY_NOT_ALLOWED.to_owned(),
        Error::Payload(error) => error.to_string(),
        other => words_of_kind(other).to_owned(),
    }
}

const DECODES_ONLY: &str =
    "the server only decodes the payloads of this namespace; encode with the codec of your workers";
/// The log names the key.
const KEY_NOT_ALLOWED: &str = "the payload is encrypted with a key that this server is not configured to use; the server's log names the key";

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

    fn decode(error: Error) -> RequestError {
        RequestError::Decode {
            index: 3,
            key: Some("aws-kms://arn:aws:kms:us-east-1:1:key/theirs".to_owned()),
            error: Box::new(error),
        }
    }

    #[test]
    fn who_is_at_fault_decides_the_status() {
        use ProviderErrorKind as Kind;
        let decode = |error| decode(error).status().as_u16();
        assert_eq!(decode(PayloadError::NotAuthentic.into()), 400);
        assert_eq!(decode(provider(Kind::InvalidCiphertext)), 400);
        assert_eq!(decode(provider(Kind::KeyDisabled)), 400);
        assert_eq!(decode(provider(Kind::KeyVersionGone)), 400);
        assert_eq!(decode(provider(Kind::PermissionDenied)), 503);
        assert_eq!(decode(provider(Kind::Misconfigured)), 503);
        let encode = |error: Error| RequestError::Encode(Box::new(error)).status().as_u16();
        assert_eq!(encode(PayloadError::Unsupported("x").into()), 400);
        assert_eq!(encode(provider(Kind::KeyDisabled)), 503);
        let too_many = JsonError::TooManyPayloads { limit: 1 };
        assert_eq!(RequestError::Json(too_many).status().as_u16(), 413);
    }

    #[test]
    fn users_are_told_no_key_and_no_detail() {
        use ProviderErrorKind as Kind;
        for kind in [
            Kind::PermissionDenied,
            Kind::KeyNotFound,
            Kind::KeyDisabled,
            Kind::KeyVersionGone,
            Kind::InvalidCiphertext,
            Kind::ContextMismatch,
            Kind::Throttled,
            Kind::Unavailable,
            Kind::DeadlineExceeded,
            Kind::Integrity,
            Kind::Misconfigured,
        ] {
            let decode = decode(provider(kind)).to_string();
            let encode = RequestError::Encode(Box::new(provider(kind))).to_string();
            for words in [decode, encode] {
                assert!(
                    !words.contains("arn:") && !words.contains("sk-detail"),
                    "{words}"
                );
            }
        }
    }

    #[test]
    fn operators_are_told_the_key_that_the_payload_wants() {
        let words = decode(PayloadError::NotAuthentic.into()).for_operator();
        assert!(
            words.contains("aws-kms://arn:aws:kms:us-east-1:1:key/theirs"),
            "{words}"
        );
        let marked = |key: &[u8]| Payload {
            metadata: [(KMS_KEY.to_owned(), key.to_vec())].into(),
            ..Payload::default()
        };
        assert_eq!(
            wanted_key(&marked(b"local://a")).as_deref(),
            Some("local://a")
        );
        assert_eq!(
            wanted_key(&marked("a\u{202e}\nb".as_bytes())).as_deref(),
            Some("a\u{fffd}\u{fffd}b")
        );
        assert_eq!(wanted_key(&marked(b"\xff")), None);
        assert!(wanted_key(&marked(&[b'k'; 5000])).unwrap().len() < 300);
    }

    /// Every refusal that is not an error of the codec.
    fn refusals() -> Vec<RequestError> {
        vec![
            RequestError::ForeignHost,
            RequestError::ForeignOrigin,
            RequestError::CookieOrigin,
            RequestError::CookieContentType,
            RequestError::NoLogin,
            RequestError::NotAdmin,
            RequestError::Overloaded,
            RequestError::TooMany {
                limited: Limited::Caller,
                wait: Duration::ZERO,
            },
            RequestError::UnknownPath,
            RequestError::NoDownload,
            RequestError::NotPost,
            RequestError::BadNamespace,
            RequestError::TwoNamespaces,
            RequestError::UnknownNamespace("prod".to_owned()),
            RequestError::UnknownNamespaceInPath("prod".to_owned()),
            RequestError::BodyTooLarge { limit: 1 },
            RequestError::BodyTooSlow,
            RequestError::BodyBroken,
            RequestError::AnswerTooLarge { limit: 1 },
            RequestError::DecompressedTooLarge { limit: 2 },
            RequestError::Busy,
            RequestError::NoPlace,
            RequestError::TooSlow,
            RequestError::Miscounted,
            RequestError::Placeholder { index: 3 },
            RequestError::ShownCiphertext { index: 3 },
        ]
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let remedies = [
            "add ",
            "ask ",
            "answers POST",
            "enter ",
            "must agree",
            "raise ",
            "read them",
            "report",
            "send ",
            "try again",
        ];
        for refusal in refusals() {
            let text = refusal.to_string().to_lowercase();
            let has = |remedy: &str| text.contains(&remedy.to_lowercase());
            assert!(remedies.iter().any(|remedy| has(remedy)), "{text}");
        }
    }
}
