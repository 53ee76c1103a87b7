//! The status of a task.

use std::fmt;

use serde::{Serialize, Serializer};
use temporalio_client::{WorkflowExecutionDescription, WorkflowExecutionStatus};

use super::stage::{Stage, stage};

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskStatus {
    /// No worker has begun it.
    WaitingForWorker,
    /// A worker runs it.
    Running,
    /// Temporal holds it until a person unpauses it.
    Paused,
    /// It succeeded.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// A person terminated it in Temporal.
    Terminated,
    /// Its time in Temporal ended before a worker finished it.
    TimedOut,
    /// Temporal reports a status that this version does not know.
    Unknown,
}

impl TaskStatus {
    pub(super) fn of(description: &WorkflowExecutionDescription) -> Self {
        match description.status() {
            WorkflowExecutionStatus::Running => match stage(description.raw(), Stage::Unknown) {
                Stage::Running => Self::Running,
                _ => Self::WaitingForWorker,
            },
            status => Self::of_ended(status),
        }
    }

    /// The status of a task that does not run.
    pub(super) fn of_ended(status: WorkflowExecutionStatus) -> Self {
        match status {
            WorkflowExecutionStatus::Completed => Self::Completed,
            WorkflowExecutionStatus::Failed => Self::Failed,
            WorkflowExecutionStatus::Canceled => Self::Cancelled,
            WorkflowExecutionStatus::Terminated => Self::Terminated,
            WorkflowExecutionStatus::TimedOut => Self::TimedOut,
            WorkflowExecutionStatus::Paused => Self::Paused,
            _ => Self::Unknown,
        }
    }

    /// The status in words, such as `waiting for a worker`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForWorker => "waiting for a worker",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
            Self::TimedOut => "timed out",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the task has not ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::WaitingForWorker | Self::Running | Self::Paused)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TaskStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
