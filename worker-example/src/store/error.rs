//! Why an object cannot be stored or read.

use std::{error::Error, io};

use object_store::client::{HttpError, HttpErrorKind};
use temporal_kms_codec::SealedFileError;
use thiserror::Error;

/// An object cannot be stored or read. No variant holds its content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// The store refused a call or did not answer.
    #[error(
        "cannot {operation} {object} in the store: {problem}. Check --store and the credentials of the store"
    )]
    Store {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// The object.
        object: String,
        /// Why.
        problem: String,
    },
    /// An object with this name exists.
    #[error("{object} already exists in the store")]
    Exists {
        /// The object.
        object: String,
    },
    /// The object does not exist.
    #[error(
        "{object} does not exist in the store. It was deleted, or this is another store: all programs need the same --store"
    )]
    Missing {
        /// The object.
        object: String,
    },
    /// The object is larger than it may be.
    #[error("{object} has more than {limit} bytes. This program did not write it")]
    TooLarge {
        /// The object.
        object: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is not the object that was stored.
    #[error(
        "{object} is not the object that was stored for this task. A user who can write to the store replaced it"
    )]
    Replaced {
        /// The object.
        object: String,
    },
    /// It cannot be sealed or opened.
    #[error("cannot {operation} {object}: {problem}")]
    Seal {
        /// What was tried: `seal` or `open`.
        operation: &'static str,
        /// The object.
        object: String,
        /// Why.
        problem: SealedFileError,
    },
}

impl StoreError {
    pub(super) fn of(operation: &'static str, object: &str, error: &object_store::Error) -> Self {
        let object = object.to_owned();
        match error {
            object_store::Error::NotFound { .. } => Self::Missing { object },
            object_store::Error::AlreadyExists { .. } => Self::Exists { object },
            error => Self::Store {
                operation,
                object,
                problem: problem(error),
            },
        }
    }

    /// Whether trying again later cannot help.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Store { .. } | Self::Exists { .. } => false,
            Self::Missing { .. } | Self::TooLarge { .. } | Self::Replaced { .. } => true,
            Self::Seal { problem, .. } => !problem.is_transient(),
        }
    }
}

/// What is wrong, in words of this program. An answer of the store may hold anything, so nothing of it is kept but its status
/// and a code of letters.
fn problem(error: &object_store::Error) -> String {
    use object_store::Error as E;
    let kind = match error {
        E::PermissionDenied { .. } => Some("permission denied"),
        E::Unauthenticated { .. } => Some("it does not accept the credentials"),
        E::Precondition { .. } | E::NotModified { .. } => Some("the object has changed meanwhile"),
        E::InvalidPath { .. } => Some("it does not accept this name"),
        E::NotSupported { .. } | E::NotImplemented { .. } => Some("it cannot do this"),
        _ => None,
    };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(lost) = found.downcast_ref::<HttpError>() {
            return kind.unwrap_or(connection(lost.kind())).to_owned();
        }
        if let Some(error) = found.downcast_ref::<io::Error>() {
            return error.kind().to_string();
        }
        if let Some(answer) = answer(&found.to_string()) {
            return match kind {
                Some(kind) => format!("{kind} ({answer})"),
                None => format!("it answered {answer}"),
            };
        }
        cause = found.source();
    }
    kind.unwrap_or("the call failed").to_owned()
}

fn connection(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "it cannot be reached",
        HttpErrorKind::Timeout => "it did not answer in time",
        HttpErrorKind::Request | HttpErrorKind::Interrupted => "the connection was lost",
        _ => "its answer cannot be read",
    }
}

/// The status and the code in the text with which `object_store` reports an answer. S3, Google Cloud Storage and Azure answer
/// with XML that has a `Code`.
fn answer(text: &str) -> Option<String> {
    let answer = text
        .strip_prefix("Server returned non-2xx status code: ")
        .or_else(|| text.strip_prefix("Server returned error response: "))?;
    let status = answer.get(..3);
    let status = status.filter(|status| status.bytes().all(|byte| byte.is_ascii_digit()));
    let (_, code) = answer.split_once("<Code>").unwrap_or_default();
    let code = code.split_once("</Code>").map(|(code, _)| code);
    let is_code = |code: &str| {
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    match (status, code.filter(|code| is_code(code))) {
        (Some(status), Some(code)) => Some(format!("{status} {code}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Error)]
    #[error("{0}")]
    struct Reported(&'static str);

    fn generic(source: impl Error + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        }
    }

    #[test]
    fn the_answer_of_a_store_gives_a_status_and_a_code_only() {
        for (text, expected) in [
            (
                "Server returned non-2xx status code: 503 Service Unavailable: <Error><Code>SlowDown</Code><Message>secret</Message>",
                "it answered 503 SlowDown",
            ),
            (
                "Server returned non-2xx status code: 500 Internal Server Error: secret",
                "it answered 500",
            ),
            (
                "Server returned non-2xx status code: 500: <Code>a secret</Code>",
                "it answered 500",
            ),
            (
                "Server returned error response: <Code>InternalError</Code>secret",
                "it answered InternalError",
            ),
            ("Error performing GET https://secret", "the call failed"),
        ] {
            assert_eq!(problem(&generic(Reported(text))), expected);
        }
        let denied = object_store::Error::PermissionDenied {
            path: "secret".to_owned(),
            source: Box::new(Reported(
                "Server returned non-2xx status code: 403 Forbidden: <Code>AccessDenied</Code>",
            )),
        };
        assert_eq!(problem(&denied), "permission denied (403 AccessDenied)");
    }

    #[test]
    fn a_store_without_an_answer_is_told_by_its_kind() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let unreachable = HttpError::new(HttpErrorKind::Connect, refused());
        assert_eq!(problem(&generic(unreachable)), "it cannot be reached");
        assert_eq!(problem(&generic(refused())), "connection refused");
    }
}
