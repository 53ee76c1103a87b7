//! The id of a task.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A task's id: `[A-Za-z0-9_-]+`, at most 128 characters. It is the workflow's id and the name of the log's folder.
/// Temporal stores it unencrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TaskId(String);

const MAX_LENGTH: usize = 128;

/// The text is not a task id.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
#[error("taskId must be URL-safe (letters, digits, `_` and `-`), 1 to 128 characters")]
pub struct TaskIdError;

impl TaskId {
    /// A random id that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("task-{}", uuid::Uuid::new_v4().as_simple()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, TaskIdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(allowed) {
            return Err(TaskIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TaskId {
    type Error = TaskIdError;

    fn try_from(text: String) -> Result<Self, TaskIdError> {
        text.parse()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_url_safe_names_only() {
        assert_eq!("a_B-9".parse::<TaskId>().unwrap().as_str(), "a_B-9");
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "ä",
            "a\n",
            "a\0",
            &"x".repeat(129),
        ] {
            assert_eq!(bad.parse::<TaskId>(), Err(TaskIdError), "{bad:?}");
        }
        assert!(TaskId::random().as_str().parse::<TaskId>().is_ok());
    }
}
