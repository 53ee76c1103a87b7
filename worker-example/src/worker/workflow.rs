//! The workflow `ClaudeTask`: one task, its id the task's id.
//!
//! Temporal replays it with later versions of this program. What it decides from its input must stay as it is, so the
//! request is checked in the submission and in the activity, not here.

use crate::{
    activities::{ClaudeActivities, FOR_ANOTHER_TASK},
    failure::{FailureKind, WORKER_LOST},
    outcome::{FailureReport, SessionOutcome, TaskResult},
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

/// What a caller reads when the account of the activity cannot be trusted.
const NOT_OF_THIS_TASK: &str = "no account of this task came from the activity: the worker could not read its input, or \
    somebody who can write to Temporal answered in its place. The worker's log says more";

/// The workflow. Its input is a [`TaskInput`], its result a [`TaskResult`].
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
    /// a [`TaskResult`] as details.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        mut input: TaskInput,
    ) -> WorkflowResult<TaskResult> {
        let task = ctx.workflow_id().to_owned();
        if input.task_id() != Some(task.as_str()) {
            return Err(for_another_task(&task).into());
        }
        let metadata = input.take_metadata();
        let options = options(input.timeout());
        let ran = ctx
            .execute_activity(ClaudeActivities::run_claude, input, options)
            .await;
        let ended = Ended::of(&task, ran)?;
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
fn for_another_task(task: &str) -> ApplicationFailure {
    FailureKind::of_task(
        FailureKind::InvalidRequest.as_str(),
        FOR_ANOTHER_TASK.to_owned(),
        TaskResult::new(task, None, None),
    )
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
        task: &str,
        ran: Result<SessionOutcome, ActivityExecutionError>,
    ) -> Result<Self, WorkflowTermination> {
        let error = match ran {
            Ok(outcome) if outcome.task_id == task => return Ok(Self::Ran(outcome)),
            Ok(_) => return Ok(Self::not_of_this_task()),
            Err(error @ ActivityExecutionError::Serialization(_)) => return Err(error.into()),
            Err(error) => error,
        };
        if let Some(cancelled) = error.as_cancelled() {
            let outcome: Option<SessionOutcome> = cancelled.details().ok().flatten();
            return Ok(Self::Cancelled(outcome.filter(|o| o.task_id == task)));
        }
        if let Some(timeout) = error.as_timeout() {
            let last: Option<Progress> = timeout.last_heartbeat_details().ok().flatten();
            return Ok(Self::Failed {
                kind: FailureKind::WorkerLost.as_str().to_owned(),
                message: WORKER_LOST.to_owned(),
                outcome: None,
                last: last.filter(|last| last.is_of(task)),
            });
        }
        let report: Option<FailureReport> = match error.cause() {
            Some(IncomingError::Application(failure)) => failure.details().ok().flatten(),
            _ => None,
        };
        Ok(match report.filter(|report| report.task_id == task) {
            Some(report) => Self::Failed {
                kind: report.kind,
                message: report.message,
                outcome: report.outcome,
                last: report.last,
            },
            None => Self::not_of_this_task(),
        })
    }

    fn not_of_this_task() -> Self {
        Self::Failed {
            kind: FailureKind::CannotRun.as_str().to_owned(),
            message: NOT_OF_THIS_TASK.to_owned(),
            outcome: None,
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
