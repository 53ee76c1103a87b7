//! Why a request is not valid. No variant holds a value of the request.

use thiserror::Error;

use crate::task::id::TaskIdError;

const LONGEST_SHOWN: usize = 80;

/// The request is not valid.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// It is too large.
    #[error("the request is larger than {limit} bytes; shorten the prompt")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is not JSON.
    #[error("the request is not JSON (line {line}, column {column}); correct it there")]
    Json {
        /// The line of the first mistake.
        line: usize,
        /// The column of the first mistake.
        column: usize,
    },
    /// It is JSON and not an object.
    #[error("the request must be a JSON object")]
    NotAnObject,
    /// The task's id is not valid.
    #[error(transparent)]
    TaskId(#[from] TaskIdError),
    /// The value has the wrong type.
    #[error("{field} has a value of the wrong type; correct its type")]
    WrongType {
        /// The field, quoted.
        field: String,
    },
    /// A required field is missing or empty.
    #[error("{field} is required")]
    Required {
        /// The field.
        field: String,
    },
    /// A task in the background has no address for its webhook.
    #[error("callbackUrl is required for async tasks")]
    NoCallback,
    /// It has no credential.
    #[error("Either anthropicApiKey or anthropicOAuthToken is required")]
    NoCredential,
    /// The value is not allowed.
    #[error("{field} {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What the value must be.
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

/// Makes an error without values from serde's message. A message about a missing field has a fixed beginning and names the
/// field. Every other message counts as a wrong type.
pub(super) fn from_serde(path: &str, message: &str) -> RequestError {
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|r| r.strip_suffix('`'))
    {
        return RequestError::Required {
            field: field.to_owned(),
        };
    }
    if path == "taskId" && message == TaskIdError.to_string() {
        return TaskIdError.into();
    }
    RequestError::WrongType {
        field: quoted(path),
    }
}

/// A field name of the caller for a message. A name with unusual characters is not shown.
pub(super) fn quoted(path: &str) -> String {
    // A name is quoted once: the submission quotes it, and the worker reads it again.
    let path = path
        .strip_prefix('`')
        .and_then(|path| path.strip_suffix('`'))
        .unwrap_or(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]".contains(c);
    if !path.is_empty() && path.len() <= LONGEST_SHOWN && path.chars().all(plain) {
        format!("`{path}`")
    } else {
        "(a name that cannot be shown)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        use RequestError as E;
        let field = || "`prompt`".to_owned();
        let all = [
            E::TooLarge { limit: 1024 },
            E::Json { line: 2, column: 7 },
            E::NotAnObject,
            E::TaskId(TaskIdError),
            E::NoCallback,
            E::WrongType { field: field() },
            E::Required { field: field() },
            E::NoCredential,
            E::invalid("prompt", "must have at most 10 characters"),
        ];
        for error in all {
            // A new variant does not compile until it is here.
            let (subject, remedy) = match error {
                E::TooLarge { .. } => ("1024 bytes", "shorten"),
                E::Json { .. } => ("line 2, column 7", "correct it"),
                E::NotAnObject => ("the request", "must be a JSON object"),
                E::TaskId(_) => ("taskId", "letters, digits"),
                E::NoCallback => ("callbackUrl", "is required"),
                E::WrongType { .. } => ("`prompt`", "correct its type"),
                E::Required { .. } => ("`prompt`", "is required"),
                E::NoCredential => ("anthropicApiKey", "is required"),
                E::Invalid { .. } => ("prompt", "must have at most"),
            };
            let text = error.to_string();
            assert!(text.contains(subject) && text.contains(remedy), "{text}");
        }
    }
}
