//! The workflow `ClaudeTask`: one task, whose id is the workflow's id.
//!
//! Later versions of this program replay running workflows. What the workflow decides from its input must therefore never
//! change. So the submission and the activity check the request, and the workflow does not.

use std::time::Duration;

use serde_json::{Map, Value};
use temporalio_common::{RetryPolicy, error::ApplicationFailure, error::IncomingError};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCancellationType, ActivityExecutionError, ActivityOptions, WorkflowContext,
    WorkflowContextView, WorkflowResult, WorkflowTermination,
};

use super::{
    activities::ClaudeActivities,
    failures::{self, FOR_ANOTHER_TASK, WORKER_LOST},
};
use crate::task::{FailureKind, FailureReport, Progress, SessionOutcome, TaskInput, TaskResult};

/// A worker without a heartbeat for this long counts as lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time to prepare and to clean up, in addition to the task's own time. The activity enforces the task's own time.
const MARGIN: Duration = Duration::from_mins(5);
/// How often Temporal tries the activity until a session begins: for about 45 minutes. The activity makes sure that a
/// session which has begun is not repeated.
const ATTEMPTS: u32 = 50;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The message for a caller when the activity's report belongs to another task, or is missing.
const NO_REPORT: &str = "the activity sent no report of this task. Either the worker could not read its input, or an \
    attacker who can write to Temporal answered in its place. See the worker's log";

/// The workflow. Its input is a [`TaskInput`] and its result a [`TaskResult`].
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
    /// A non-retryable application failure whose type is a [`FailureKind`], or the cancellation. Both have a [`TaskResult`]
    /// as details.
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
        let end = ActivityEnd::new(&task, ran)?;
        if let Some(progress) = end.progress() {
            ctx.state_mut(|state| state.last = progress.clone());
        }
        end.conclude(&task, metadata)
    }

    /// The newest events of a task that has ended. Followers ask for them because heartbeats end with the activity.
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
        // A task has ended when its processes have ended and its workspace is removed.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

/// The failure of a task whose request names another task. An attacker can copy an encrypted request from one history into
/// another start, and the copy must not run.
fn for_another_task(task: &str) -> ApplicationFailure {
    failures::of_task(
        FailureKind::InvalidRequest.as_str(),
        FOR_ANOTHER_TASK.to_owned(),
        TaskResult::new(task, None, None),
    )
}

/// How the activity ended.
enum ActivityEnd {
    Ran(SessionOutcome),
    Cancelled(Option<SessionOutcome>),
    Failed {
        kind: String,
        message: String,
        outcome: Option<SessionOutcome>,
        last: Option<Progress>,
    },
}

impl ActivityEnd {
    /// # Errors
    /// When the activity's result cannot be read. The workflow task then fails, and Temporal repeats it.
    fn new(
        task: &str,
        ran: Result<SessionOutcome, ActivityExecutionError>,
    ) -> Result<Self, WorkflowTermination> {
        let error = match ran {
            Ok(outcome) if outcome.task_id == task => return Ok(Self::Ran(outcome)),
            Ok(_) => return Ok(Self::no_report()),
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
            None => Self::no_report(),
        })
    }

    fn no_report() -> Self {
        Self::Failed {
            kind: FailureKind::CannotRun.as_str().to_owned(),
            message: NO_REPORT.to_owned(),
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
                    return Err(failures::of_task(kind, outcome.problem(), result).into());
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
                Err(failures::of_task(&kind, message, result).into())
            }
        }
    }
}
