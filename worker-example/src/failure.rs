//! The kinds of failure of a task. Temporal stores their names in the clear, their messages and details encrypted.

use crate::{
    outcome::{SessionOutcome, TaskResult},
    progress::Progress,
};
use temporalio_common::error::ApplicationFailure;

/// The `type` of an application failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The workflow's input is not a valid task.
    InvalidRequest,
    /// Claude Code ran and failed: the API refused, turns ran out, bad flags.
    ClaudeFailed,
    /// The task's time was over.
    Timeout,
    /// Claude Code printed more than it may.
    OutputLimit,
    /// The worker could not run Claude Code at all, or not follow it to its end.
    CannotRun,
    /// The worker shut down while the task ran.
    WorkerShutdown,
    /// The worker was lost while the task ran.
    WorkerLost,
}

/// What a caller reads when a worker was lost.
pub(crate) const WORKER_LOST: &str = "the worker was lost while the task ran; the task is not repeated, because what it \
    did and cost stays";

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

    /// The activity's failure. Never to be retried: a session costs money and changes things.
    pub(crate) fn of_session(
        self,
        message: String,
        outcome: Option<SessionOutcome>,
    ) -> ApplicationFailure {
        ApplicationFailure::builder(message)
            .type_name(self.as_str().to_owned())
            .non_retryable(true)
            .maybe_details(outcome)
            .build()
    }

    /// The failure of an activity whose task another worker had begun.
    pub(crate) fn of_lost_session(last: Progress) -> ApplicationFailure {
        ApplicationFailure::builder(WORKER_LOST)
            .type_name(Self::WorkerLost.as_str().to_owned())
            .non_retryable(true)
            .details(last)
            .build()
    }

    /// The failure of an attempt that did not begin the session. Temporal tries again.
    pub(crate) fn of_attempt(self, message: String) -> ApplicationFailure {
        ApplicationFailure::builder(message)
            .type_name(self.as_str().to_owned())
            .build()
    }

    /// The workflow's failure.
    pub(crate) fn of_task(kind: &str, message: String, result: TaskResult) -> ApplicationFailure {
        ApplicationFailure::builder(message)
            .type_name(kind.to_owned())
            .non_retryable(true)
            .details(result)
            .build()
    }
}
