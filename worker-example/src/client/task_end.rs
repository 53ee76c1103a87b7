//! How a task ended, from the result of its workflow.

use serde::Deserialize as _;
use serde_json::Value;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_common::error::IncomingError;

use super::error::ClientError;
use crate::task::{TaskId, TaskResult};

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskEnd {
    kind: EndKind,
    result: Option<TaskResult>,
    problem: Option<String>,
}

/// Whether a task succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndKind {
    /// It succeeded.
    Completed,
    /// It failed, was terminated, or ran out of time in Temporal.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl EndKind {
    /// The word for it, such as `completed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl TaskEnd {
    /// # Errors
    /// When the result is missing, cannot be decoded, or belongs to another task.
    pub(super) fn of(
        task: &TaskId,
        result: Result<TaskResult, WorkflowGetResultError>,
    ) -> Result<Self, ClientError> {
        let failed = |problem: &str| Self {
            kind: EndKind::Failed,
            result: None,
            problem: Some(problem.to_owned()),
        };
        Ok(match result {
            Ok(result) if is_of(task, &result) => Self {
                kind: EndKind::Completed,
                result: Some(result),
                problem: None,
            },
            Ok(_) => return Err(ClientError::ForeignResult(task.clone())),
            Err(WorkflowGetResultError::Failed(error)) => Self::of_failure(task, &error),
            Err(WorkflowGetResultError::Cancelled { details }) => Self {
                kind: EndKind::Cancelled,
                result: details.deserialize().ok().filter(|r| is_of(task, r)),
                problem: Some("the task was cancelled".to_owned()),
            },
            Err(WorkflowGetResultError::TimedOut) => failed(
                "the task's time in Temporal ended: no worker took the task, or no worker finished it",
            ),
            Err(WorkflowGetResultError::Terminated { .. }) => {
                failed("somebody terminated the task in Temporal")
            }
            Err(WorkflowGetResultError::NotFound(_)) => {
                return Err(ClientError::NotFound(task.clone()));
            }
            Err(error) => return Err(ClientError::of_call(task, &error)),
        })
    }

    /// The message of a failure is encrypted separately from its details and can be copied from another task. So only the
    /// details count, if they name this task.
    fn of_failure(task: &TaskId, error: &IncomingError) -> Self {
        let details: Option<TaskResult> = match error {
            IncomingError::Application(failure) => failure.details().ok().flatten(),
            _ => None,
        };
        let mut result = details.filter(|result| is_of(task, result));
        let problem = result.as_mut().and_then(|result| result.problem.take());
        let foreign = "the task failed, and its stored failure belongs to another task. A user who can write to Temporal \
            replaced it. Submit the task again with another id";
        Self {
            kind: EndKind::Failed,
            result,
            problem: Some(problem.unwrap_or_else(|| foreign.to_owned())),
        }
    }

    /// How a task ended, as a task service says. `None` if it has not ended.
    pub(super) fn of_state(task: &TaskId, state: &Value) -> Option<Self> {
        let text = |name: &str| state.get(name).and_then(Value::as_str);
        let kind = match text("status")? {
            "completed" => EndKind::Completed,
            "failed" => EndKind::Failed,
            "cancelled" => EndKind::Cancelled,
            _ => return None,
        };
        let result: Option<TaskResult> = TaskResult::deserialize(state).ok();
        Some(Self {
            kind,
            result: result.filter(|result| is_of(task, result)),
            problem: text("error").map(str::to_owned),
        })
    }

    /// Whether the task succeeded.
    #[must_use]
    pub fn kind(&self) -> EndKind {
        self.kind
    }

    /// The result. `None` if no worker reported one.
    #[must_use]
    pub fn result(&self) -> Option<&TaskResult> {
        self.result.as_ref()
    }

    /// Why the task did not succeed. The text may come from Claude Code and is not safe for a terminal.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Claude's answer, or its beginning if it is too large for Temporal. The text is not safe for a terminal.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        let facts = self.result.as_ref()?.result.as_ref()?;
        facts.text.as_deref().filter(|text| !text.trim().is_empty())
    }

    /// The length of the whole answer in bytes, if [`answer`](Self::answer) is only its beginning.
    #[must_use]
    pub fn cut_from_bytes(&self) -> Option<u64> {
        self.result.as_ref()?.result.as_ref()?.cut_from_bytes
    }
}

fn is_of(task: &TaskId, result: &TaskResult) -> bool {
    result.task_id == task.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_another_task_is_refused() {
        let task: TaskId = "task".parse().unwrap();
        let result = |id| TaskResult::new(id, None, None);
        let end = TaskEnd::of(&task, Ok(result("task"))).unwrap();
        assert_eq!(end.kind(), EndKind::Completed);
        let refused = TaskEnd::of(&task, Ok(result("another"))).err().unwrap();
        assert!(
            matches!(refused, ClientError::ForeignResult(_)),
            "{refused}"
        );
    }
}
