//! Why a step around Claude Code failed: the checkout, the files, the commands before, the commit.

use thiserror::Error;

/// A step failed. The text has no secret of the task.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StepError {
    /// The task ends, and the step was ended.
    #[error("the task was ended")]
    Cancelled,
    /// It did not succeed.
    #[error("{message}")]
    Failed {
        /// What happened, and what to do.
        message: String,
        /// Whether another attempt can succeed.
        retry: bool,
    },
}

impl StepError {
    /// A failure that another attempt cannot change.
    pub(crate) fn final_one(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retry: false,
        }
    }

    /// A failure that another attempt can change.
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retry: true,
        }
    }

    /// Whether another attempt can succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Failed { retry: true, .. })
    }
}
