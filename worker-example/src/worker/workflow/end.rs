//! How a step ended, and what that means for the task.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use temporalio_common::error::{IncomingError, TimeoutError, TimeoutType};
use temporalio_sdk::{ActivityExecutionError, WorkflowResult, WorkflowTermination};

use crate::{
    task::{FailureKind, FailureReport, Progress, SessionMetadata, SessionOutcome, TaskResult},
    webhook::{Body, Status, Summary},
    worker::failures::{self, NO_PLACE, NOT_PREPARED, WORKER_LOST},
};

/// The exit code of a cancelled task.
const CANCELLED: i32 = 130;
/// The exit code in a webhook if Claude Code has no exit code.
const UNKNOWN: i32 = 1;
/// The message for a caller when the activity's report belongs to another task, or is missing.
const NO_REPORT: &str = "the activity sent no report of this task. Either the worker could not read its input, or an \
    attacker who can write to Temporal answered in its place. See the worker's log";

/// How the activity ended.
pub(super) enum ActivityEnd {
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
    /// How a session ended.
    pub(super) fn new(task: &str, ran: Result<SessionOutcome, ActivityExecutionError>) -> Self {
        match ran {
            Ok(outcome) if outcome.task_id == task => Self::Ran(outcome),
            Ok(_) => Self::no_report(),
            Err(error) => Self::of_error(task, &error),
        }
    }

    /// How a step ended that has no result. A result that cannot be read counts as none: an attacker who can write to Temporal
    /// could otherwise keep the task from its end.
    pub(super) fn of_error(task: &str, error: &ActivityExecutionError) -> Self {
        if let Some(cancelled) = error.as_cancelled() {
            let outcome: Option<SessionOutcome> = cancelled.details().ok().flatten();
            return Self::Cancelled(outcome.filter(|o| o.task_id == task));
        }
        if let Some(timeout) = error.as_timeout() {
            let last: Option<Progress> = timeout.last_heartbeat_details().ok().flatten();
            return Self::Failed {
                kind: FailureKind::WorkerLost.as_str().to_owned(),
                message: WORKER_LOST.to_owned(),
                outcome: None,
                last: last.filter(|last| last.is_of(task)),
            };
        }
        let report: Option<FailureReport> = match error.cause() {
            Some(IncomingError::Application(failure)) => failure.details().ok().flatten(),
            _ => None,
        };
        match report.filter(|report| report.task_id == task) {
            Some(report) => Self::Failed {
                kind: report.kind,
                message: report.message,
                outcome: report.outcome,
                last: report.last,
            },
            None => Self::no_report(),
        }
    }

    /// How a preparation ended that did not succeed.
    pub(super) fn of_preparation(task: &str, error: &ActivityExecutionError) -> Self {
        let told = match error.as_timeout().map(TimeoutError::timeout_type) {
            Some(TimeoutType::ScheduleToStart) => NO_PLACE,
            Some(TimeoutType::ScheduleToClose) => NOT_PREPARED,
            _ => return Self::of_error(task, error),
        };
        Self::Failed {
            kind: FailureKind::CannotRun.as_str().to_owned(),
            message: told.to_owned(),
            outcome: None,
            last: None,
        }
    }

    pub(super) fn no_report() -> Self {
        Self::Failed {
            kind: FailureKind::CannotRun.as_str().to_owned(),
            message: NO_REPORT.to_owned(),
            outcome: None,
            last: None,
        }
    }

    pub(super) fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Ran(outcome) | Self::Cancelled(Some(outcome)) => Some(&outcome.progress),
            Self::Cancelled(None) => None,
            Self::Failed { outcome, last, .. } => {
                outcome.as_ref().map(|o| &o.progress).or(last.as_ref())
            }
        }
    }

    pub(super) fn has_succeeded(&self) -> bool {
        matches!(self, Self::Ran(outcome) if !outcome.is_error())
    }

    /// The end of a task that was cancelled after its session.
    pub(super) fn into_cancelled(self) -> Self {
        match self {
            Self::Ran(outcome) => Self::Cancelled(Some(outcome)),
            end => end,
        }
    }

    /// `completed`, `failed` or `cancelled`.
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Ran(outcome) if !outcome.is_error() => "completed",
            Self::Ran(_) | Self::Failed { .. } => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Claude Code's exit code; 130 for a cancelled task.
    pub(super) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Ran(outcome) => Some(outcome.exit_code),
            Self::Cancelled(_) => Some(CANCELLED),
            Self::Failed { outcome, .. } => outcome.as_ref().map(|outcome| outcome.exit_code),
        }
    }

    /// What the store keeps of the end.
    pub(super) fn metadata(
        &self,
        task: &str,
        started: Option<SystemTime>,
        ended: Option<SystemTime>,
    ) -> SessionMetadata {
        let progress = self.progress();
        SessionMetadata {
            task_id: task.to_owned(),
            status: self.status().to_owned(),
            exit_code: self.exit_code(),
            started_at: shown(started),
            completed_at: shown(ended),
            events: progress.map_or(0, Progress::total),
            turns: progress.map_or(0, |progress| progress.turns),
            errors: progress.map_or(0, |progress| progress.errors),
            cost_usd: progress.and_then(|progress| progress.cost_usd),
        }
    }

    /// Why the task did not succeed. `None` if it succeeded or was cancelled.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Ran(outcome) => outcome.is_error().then(|| outcome.problem()),
            Self::Cancelled(_) => None,
            Self::Failed { message, .. } => Some(message.clone()),
        }
    }

    /// The result of the task.
    pub(super) fn result(&self, task: &str, metadata: Option<Map<String, Value>>) -> TaskResult {
        match self {
            Self::Ran(outcome) => TaskResult::new(task, Some(outcome), metadata),
            Self::Cancelled(outcome) => {
                let mut result = TaskResult::new(task, outcome.as_ref(), metadata);
                result.exit_code = Some(CANCELLED);
                result.is_error = true;
                result
            }
            Self::Failed { outcome, last, .. } => {
                let mut result = TaskResult::new(task, outcome.as_ref(), metadata);
                result.is_error = true;
                if let Some(last) = last {
                    (result.events, result.bytes) = (last.total(), last.bytes);
                }
                result
            }
        }
    }

    /// The body of the task's webhook.
    pub(super) fn webhook(
        &self,
        result: &TaskResult,
        started: Option<SystemTime>,
        ended: Option<SystemTime>,
    ) -> Body {
        let progress = self.progress();
        let (started, ended) = (
            started.unwrap_or(SystemTime::UNIX_EPOCH),
            ended.unwrap_or(SystemTime::UNIX_EPOCH),
        );
        let mut summary = Summary::between(
            started,
            ended,
            progress.map_or(0, |progress| progress.turns),
            progress.map_or(0, |progress| progress.errors),
        );
        let status = match self {
            Self::Ran(outcome) if !outcome.is_error() => Status::Completed,
            Self::Ran(_) | Self::Failed { .. } => Status::Failed,
            Self::Cancelled(_) => {
                summary.cancelled_at = Some(summary.completed_at.clone());
                Status::Cancelled
            }
        };
        let exit_code = result.exit_code.unwrap_or(UNKNOWN);
        let mut body = Body::new(
            result.task_id.clone(),
            status,
            exit_code,
            result.logs_path.clone(),
            summary,
        );
        body.error = self.problem();
        body.metadata.clone_from(&result.metadata);
        body.uploaded_files.clone_from(&result.uploaded_files);
        body.git_commit.clone_from(&result.git_commit);
        body.warnings.clone_from(&result.warnings);
        body
    }

    pub(super) fn conclude(self, result: TaskResult) -> WorkflowResult<TaskResult> {
        let problem = self.problem();
        match self {
            Self::Ran(outcome) if !outcome.is_error() => Ok(result),
            Self::Ran(_) => {
                let kind = FailureKind::ClaudeFailed.as_str();
                Err(failures::of_task(kind, problem.unwrap_or_default(), result).into())
            }
            Self::Cancelled(_) => Err(WorkflowTermination::cancelled_with_details(result)),
            Self::Failed { kind, message, .. } => {
                Err(failures::of_task(&kind, message, result).into())
            }
        }
    }
}

/// A time as JavaScript writes it.
fn shown(time: Option<SystemTime>) -> String {
    let time = time.map(DateTime::<Utc>::from).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
