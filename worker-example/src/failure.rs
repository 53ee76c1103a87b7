//! The kinds of failure of a task. Their names stand in Temporal in the clear; their messages and
//! details are encrypted.

use crate::outcome::{SessionOutcome, TaskResult};
use temporalio_common::error::ApplicationFailure;

/// The `type` of an application failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The workflow's input is no valid task.
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

    /// The workflow's failure.
    pub(crate) fn of_task(kind: &str, message: String, result: TaskResult) -> ApplicationFailure {
        ApplicationFailure::builder(message)
            .type_name(kind.to_owned())
            .non_retryable(true)
            .details(result)
            .build()
    }
}
