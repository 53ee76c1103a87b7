//! The failures that the activity and the workflow report to Temporal.

use temporalio_common::error::ApplicationFailure;

use crate::task::{FailureKind, FailureReport, Progress, SessionOutcome, TaskResult};

/// The message for a caller whose request names another task.
pub(super) const FOR_ANOTHER_TASK: &str = "the request does not belong to this task: it must be a JSON object whose taskId \
    is the workflow's id";

/// The message for a caller whose task lost its worker.
pub(super) const WORKER_LOST: &str = "the worker was lost while the task ran. The task is not repeated, because it may \
    already have changed things and cost money";

/// The message for a caller whose task waited too long.
pub(super) const NO_PLACE: &str = "no worker had a place for the task in time. Start more workers, raise --max-tasks, or \
    submit the task with a longer --queue-time";

/// The message for a caller whose task was not prepared in time.
pub(super) const NOT_PREPARED: &str =
    "the task could not be prepared in time. See the workers' logs, and submit it again";

/// The failure of an attempt that did not begin the session. Temporal tries again.
pub(super) fn of_attempt(task: &str, kind: FailureKind, message: String) -> ApplicationFailure {
    activity_failure(FailureReport::new(task, kind, message), false)
}

/// The failure of a session. Temporal must not try again, because a session costs money and changes things.
pub(super) fn of_session(
    task: &str,
    kind: FailureKind,
    message: String,
    outcome: Option<SessionOutcome>,
) -> ApplicationFailure {
    let report = FailureReport::new(task, kind, message);
    activity_failure(FailureReport { outcome, ..report }, true)
}

/// The failure of an activity whose session began in an earlier attempt.
pub(super) fn of_lost_session(task: &str, last: Option<Progress>) -> ApplicationFailure {
    let report = FailureReport::new(task, FailureKind::WorkerLost, WORKER_LOST.to_owned());
    activity_failure(FailureReport { last, ..report }, true)
}

/// The failure of the workflow.
pub(super) fn of_task(kind: &str, message: String, mut result: TaskResult) -> ApplicationFailure {
    result.problem = Some(message.clone());
    ApplicationFailure::builder(message)
        .type_name(kind.to_owned())
        .non_retryable(true)
        .details(result)
        .build()
}

fn activity_failure(report: FailureReport, is_final: bool) -> ApplicationFailure {
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
        let attempt = of_attempt("t", kind, "a full disk".to_owned());
        let session = of_session("t", kind, "a full disk".to_owned(), None);
        assert_eq!(attempt.type_name(), session.type_name());
        assert!(!attempt.is_non_retryable() && session.is_non_retryable());
        assert!(of_lost_session("t", None).is_non_retryable());
    }
}
