//! Why a task failed. Temporal stores the names of the kinds unencrypted, and messages and details encrypted.

use serde::{Deserialize, Serialize};

use super::{outcome::SessionOutcome, progress::Progress};

/// The kind of a failure, which is the `type` of the application failure in Temporal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The workflow's input is not a valid request.
    InvalidRequest,
    /// Claude Code ran and failed, for example because the API refused or the turns ran out.
    ClaudeFailed,
    /// The task exceeded its time limit.
    Timeout,
    /// Claude Code printed more than the worker allows.
    OutputLimit,
    /// The worker could not run Claude Code, or could not observe it until its end.
    CannotRun,
    /// The worker shut down while the task ran.
    WorkerShutdown,
    /// The worker was lost while the task ran.
    WorkerLost,
}

impl FailureKind {
    /// The failure's type in Temporal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequest",
            Self::ClaudeFailed => "ClaudeFailed",
            Self::Timeout => "TaskTimeout",
            Self::OutputLimit => "OutputLimit",
            Self::CannotRun => "CannotRun",
            Self::WorkerShutdown => "WorkerShutdown",
            Self::WorkerLost => "WorkerLost",
        }
    }
}

/// What a failed activity reports as the details of its failure. The message of a failure is encrypted separately from its
/// details. Only this report is known to belong to the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureReport {
    /// The task.
    pub(crate) task_id: String,
    /// The failure's type, one of [`FailureKind`].
    pub(crate) kind: String,
    /// The text for the caller.
    pub(crate) message: String,
    /// The session, if it ended at this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<SessionOutcome>,
    /// The newest events of a session whose worker was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Progress>,
}

impl FailureReport {
    pub(crate) fn new(task: &str, kind: FailureKind, message: String) -> Self {
        Self {
            task_id: task.to_owned(),
            kind: kind.as_str().to_owned(),
            message,
            outcome: None,
            last: None,
        }
    }
}
