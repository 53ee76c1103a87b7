//! The workflow `ClaudeTask`: one task, its id the task's id.

use crate::{
    activities::ClaudeActivities,
    failure::FailureKind,
    outcome::{SessionOutcome, TaskResult},
    progress::Progress,
    request::{TaskInput, TaskRequest},
    task_id::TaskId,
};
use serde_json::{Map, Value};
use std::time::Duration;
use temporalio_common::{RetryPolicy, error::ApplicationFailure, error::IncomingError};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCancellationType, ActivityExecutionError, ActivityOptions, WorkflowContext,
    WorkflowContextView, WorkflowResult, WorkflowTermination,
};

/// A worker that was silent for so long is lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// What preparing, ending and cleaning up may take beyond the task's own time, which the activity
/// keeps itself.
const MARGIN: Duration = Duration::from_mins(5);

/// The workflow. Its input is a [`TaskRequest`], its result a [`TaskResult`].
#[workflow]
#[derive(Default)]
pub struct ClaudeTask {
    last: Progress,
}

#[workflow_methods]
impl ClaudeTask {
    /// Runs the task.
    ///
    /// # Errors
    /// A non-retryable application failure of a type in [`FailureKind`], or the cancellation, both with
    /// a [`TaskResult`] as details where there was a valid request.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: TaskInput,
    ) -> WorkflowResult<TaskResult> {
        let task: TaskId = ctx.workflow_id().parse().map_err(invalid)?;
        let mut request = input.into_request().map_err(invalid)?;
        let metadata = request.metadata.take();
        let options = options(&request);
        let input = TaskInput::from(request);
        let ran = ctx
            .execute_activity(ClaudeActivities::run_claude, input, options)
            .await;
        let ended = Ended::of(ran);
        if let Some(progress) = ended.progress() {
            ctx.state_mut(|state| state.last = progress.clone());
        }
        ended.conclude(&task, metadata)
    }

    /// The newest events of a task that has ended, for those who followed it by its heartbeats.
    #[query]
    #[must_use]
    pub fn last_progress(&self, _ctx: &WorkflowContextView) -> Progress {
        self.last.clone()
    }
}

fn options(request: &TaskRequest) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(request.timeout() + MARGIN)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        // A session costs money and may have changed things: nobody but the caller repeats it.
        .retry_policy(RetryPolicy::builder().maximum_attempts(1).build())
        // The task has ended when the CLI is dead and its workspace gone, not before.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> ApplicationFailure {
    ApplicationFailure::builder(error)
        .type_name(FailureKind::InvalidRequest.as_str().to_owned())
        .non_retryable(true)
        .build()
}

/// How the activity ended.
enum Ended {
    Ran(SessionOutcome),
    Cancelled(Option<SessionOutcome>),
    Failed {
        kind: String,
        message: String,
        outcome: Option<SessionOutcome>,
        last: Option<Progress>,
    },
}

impl Ended {
    fn of(ran: Result<SessionOutcome, ActivityExecutionError>) -> Self {
        let error = match ran {
            Ok(outcome) => return Self::Ran(outcome),
            Err(error) => error,
        };
        if let Some(cancelled) = error.as_cancelled() {
            return Self::Cancelled(cancelled.details().ok().flatten());
        }
        if let Some(timeout) = error.as_timeout() {
            return Self::Failed {
                kind: FailureKind::WorkerLost.as_str().to_owned(),
                message: "the worker was lost while the task ran; it is not repeated by itself, \
                          because what it did and cost stays"
                    .to_owned(),
                outcome: None,
                last: timeout.last_heartbeat_details().ok().flatten(),
            };
        }
        let (kind, message, outcome) = match error.cause() {
            Some(IncomingError::Application(failure)) => (
                failure
                    .type_name()
                    .unwrap_or(FailureKind::CannotRun.as_str())
                    .to_owned(),
                failure.to_string(),
                failure.details().ok().flatten(),
            ),
            _ => (
                FailureKind::CannotRun.as_str().to_owned(),
                error.to_string(),
                None,
            ),
        };
        Self::Failed {
            kind,
            message,
            outcome,
            last: None,
        }
    }

    fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Ran(outcome) | Self::Cancelled(Some(outcome)) => Some(&outcome.progress),
            Self::Cancelled(None) => None,
            Self::Failed { outcome, last, .. } => {
                outcome.as_ref().map(|o| &o.progress).or(last.as_ref())
            }
        }
    }

    fn conclude(
        self,
        task: &TaskId,
        metadata: Option<Map<String, Value>>,
    ) -> WorkflowResult<TaskResult> {
        match self {
            Self::Ran(outcome) => {
                let result = TaskResult::new(task, Some(&outcome), metadata);
                if outcome.is_error() {
                    let kind = FailureKind::ClaudeFailed.as_str();
                    return Err(FailureKind::of_task(kind, outcome.problem(), result).into());
                }
                Ok(result)
            }
            Self::Cancelled(outcome) => {
                let mut result = TaskResult::new(task, outcome.as_ref(), metadata);
                result.exit_code = Some(130);
                result.is_error = true;
                Err(WorkflowTermination::cancelled_with_details(result))
            }
            Self::Failed {
                kind,
                message,
                outcome,
                last,
            } => {
                let mut result = TaskResult::new(task, outcome.as_ref(), metadata);
                result.is_error = true;
                if let Some(last) = last {
                    (result.events, result.bytes) = (last.total(), last.bytes);
                }
                Err(FailureKind::of_task(&kind, message, result).into())
            }
        }
    }
}
