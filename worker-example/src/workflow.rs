//! The workflow `ClaudeTask`: one task, its id the task's id.
//!
//! Temporal replays it with later versions of this program. What it decides from its input must stay as it is, so the
//! request is checked in the submission and in the activity, not here.

use crate::{
    activities::ClaudeActivities,
    failure::{FailureKind, WORKER_LOST},
    outcome::{SessionOutcome, TaskResult},
    progress::Progress,
    request::TaskInput,
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
/// How often the activity is tried until it begins: for about 45 minutes. One that has begun is never repeated; the
/// activity itself sees to it.
const ATTEMPTS: u32 = 50;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

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
    /// a [`TaskResult`] as details where the request was for this task.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        mut input: TaskInput,
    ) -> WorkflowResult<TaskResult> {
        let task = ctx.workflow_id().to_owned();
        if input.task_id() != Some(task.as_str()) {
            return Err(for_another_task().into());
        }
        let metadata = input.take_metadata();
        let options = options(input.timeout());
        let ran = ctx
            .execute_activity(ClaudeActivities::run_claude, input, options)
            .await;
        let ended = Ended::of(ran)?;
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

fn options(timeout: Duration) -> ActivityOptions {
    let until_begun = RetryPolicy::builder()
        .initial_interval(FIRST_PAUSE)
        .maximum_interval(LONGEST_PAUSE)
        .maximum_attempts(ATTEMPTS)
        .build();
    ActivityOptions::with_start_to_close_timeout(timeout + MARGIN)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(until_begun)
        // The task has ended when the CLI is dead and its workspace gone, not before.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

/// An encrypted request can be copied from one history into another start. It must not run a second time.
fn for_another_task() -> ApplicationFailure {
    ApplicationFailure::builder(
        "the request is not for this task: it is not a JSON object whose taskId is the workflow's id",
    )
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
    /// # Errors
    /// When the activity's result cannot be read. Then the workflow task fails, and Temporal repeats it.
    fn of(
        ran: Result<SessionOutcome, ActivityExecutionError>,
    ) -> Result<Self, WorkflowTermination> {
        let error = match ran {
            Ok(outcome) => return Ok(Self::Ran(outcome)),
            Err(error @ ActivityExecutionError::Serialization(_)) => return Err(error.into()),
            Err(error) => error,
        };
        if let Some(cancelled) = error.as_cancelled() {
            return Ok(Self::Cancelled(cancelled.details().ok().flatten()));
        }
        if let Some(timeout) = error.as_timeout() {
            return Ok(Self::Failed {
                kind: FailureKind::WorkerLost.as_str().to_owned(),
                message: WORKER_LOST.to_owned(),
                outcome: None,
                last: timeout.last_heartbeat_details().ok().flatten(),
            });
        }
        let Some(IncomingError::Application(failure)) = error.cause() else {
            return Ok(Self::Failed {
                kind: FailureKind::CannotRun.as_str().to_owned(),
                message: error.to_string(),
                outcome: None,
                last: None,
            });
        };
        let kind = failure
            .type_name()
            .filter(|name| !name.is_empty())
            .unwrap_or(FailureKind::CannotRun.as_str())
            .to_owned();
        let is_lost = kind == FailureKind::WorkerLost.as_str();
        Ok(Self::Failed {
            message: failure.to_string(),
            outcome: (!is_lost)
                .then(|| failure.details().ok())
                .flatten()
                .flatten(),
            last: is_lost.then(|| failure.details().ok()).flatten().flatten(),
            kind,
        })
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
        task: &str,
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
