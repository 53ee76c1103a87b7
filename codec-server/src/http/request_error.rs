//! Why a request is refused.

mod codec_error;

use std::{fmt, time::Duration};

use http::{HeaderValue, StatusCode};
use temporal_kms_codec::Error;
use temporal_kms_codec_proto::json::JsonError;
use temporal_kms_codec_service::{
    audit::NotAudited,
    auth::{Denied, LoginError, Refused},
    telemetry::ShedReason,
    terminal,
};

pub(super) use self::codec_error::words;
use self::codec_error::{decode_status, encode_status, encode_words};
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

/// A text from outside, made safe to show.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 256;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", terminal::line(text.get(..end).unwrap_or_default())),
        None => terminal::line(text),
    }
}

#[cfg(test)]
mod tests;
