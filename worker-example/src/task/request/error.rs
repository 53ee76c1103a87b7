//! What can be wrong with a request. No variant holds a value of it.

use thiserror::Error;

const LONGEST_SHOWN: usize = 80;

/// A request that cannot be run.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// More bytes than a request may have.
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// No JSON.
    #[error("the request is not JSON (line {line}, column {column})")]
    Json {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// JSON, but no object.
    #[error("the request must be a JSON object")]
    NoObject,
    /// A field that the API knows and this version does not implement.
    #[error("`{field}` is not supported by this version of claude-tasks; leave it out")]
    NotSupported {
        /// The field.
        field: &'static str,
    },
    /// A field that the API does not know.
    #[error("unknown field {field}; see the task API for the fields there are")]
    Unknown {
        /// The field, quoted.
        field: String,
    },
    /// A value of the wrong type.
    #[error("{field} has a value of the wrong type")]
    WrongType {
        /// The field, quoted.
        field: String,
    },
    /// A field that must be there.
    #[error("{field} is required")]
    Required {
        /// The field.
        field: String,
    },
    /// No credential.
    #[error("Either anthropicApiKey or anthropicOAuthToken is required")]
    NoCredential,
    /// Both credentials.
    #[error("give anthropicApiKey or anthropicOAuthToken, not both")]
    TwoCredentials,
    /// A value that is out of bounds.
    #[error("{field} {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What it must be.
        problem: String,
    },
}

impl RequestError {
    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// Turns what serde says into an error without values: serde names fields in its message only where
/// a field is missing or unknown, and these two are told apart by their fixed beginnings.
pub(super) fn at(path: &str, message: &str) -> RequestError {
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|r| r.strip_suffix('`'))
    {
        return RequestError::Required {
            field: field.to_owned(),
        };
    }
    if message.starts_with("unknown field `") {
        return RequestError::Unknown {
            field: quoted(path),
        };
    }
    RequestError::WrongType {
        field: quoted(path),
    }
}

/// A caller's own field name, made fit for a message.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]".contains(c);
    if !path.is_empty() && path.len() <= LONGEST_SHOWN && path.chars().all(plain) {
        format!("`{path}`")
    } else {
        "(a name that cannot be shown)".to_owned()
    }
}
