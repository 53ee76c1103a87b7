//! The kinds of failure of a task. Temporal stores their names in the clear, their messages and details encrypted.

use crate::{
    outcome::{FailureReport, SessionOutcome, TaskResult},
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
        task: &str,
        message: String,
        outcome: Option<SessionOutcome>,
    ) -> ApplicationFailure {
        let report = FailureReport::new(task, self, message);
        failure(FailureReport { outcome, ..report }, true)
    }

    /// The failure of an activity whose task had begun before.
    pub(crate) fn of_lost_session(task: &str, last: Option<Progress>) -> ApplicationFailure {
        let report = FailureReport::new(task, Self::WorkerLost, WORKER_LOST.to_owned());
        failure(FailureReport { last, ..report }, true)
    }

    /// The failure of an attempt that did not begin the session. Temporal tries again.
    pub(crate) fn of_attempt(self, task: &str, message: String) -> ApplicationFailure {
        failure(FailureReport::new(task, self, message), false)
    }

    /// The workflow's failure.
    pub(crate) fn of_task(
        kind: &str,
        message: String,
        mut result: TaskResult,
    ) -> ApplicationFailure {
        result.problem = Some(message.clone());
        ApplicationFailure::builder(message)
            .type_name(kind.to_owned())
            .non_retryable(true)
            .details(result)
            .build()
    }
}

fn failure(report: FailureReport, is_final: bool) -> ApplicationFailure {
    ApplicationFailure::builder(report.message.clone())
        .type_name(report.kind.clone())
        .non_retryable(is_final)
        .details(report)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_attempt_that_did_not_begin_is_repeated() {
        let kind = FailureKind::CannotRun;
        let attempt = kind.of_attempt("t", "a full disk".to_owned());
        let session = kind.of_session("t", "a full disk".to_owned(), None);
        assert_eq!(attempt.type_name(), session.type_name());
        assert!(!attempt.is_non_retryable() && session.is_non_retryable());
        assert!(FailureKind::of_lost_session("t", None).is_non_retryable());
    }
}
