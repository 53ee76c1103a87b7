//! How far the webhook of a task is, from the workflow that delivers it.

use serde::Serialize;
use temporalio_client::{
    UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowGetResultOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError},
};
use temporalio_common::error::IncomingError;

use super::{error::ClientError, stage::attempt_problem, target::Target};
use crate::task::{FailureReport, TaskId, WEBHOOK_WORKFLOW};

/// How far the webhook of a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookState {
    status: WebhookStatus,
    /// Why it is not delivered yet, or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum WebhookStatus {
    /// Workers try to deliver it.
    Pending,
    /// Its receiver has acknowledged it.
    Delivered,
    /// It is not tried any more.
    Failed,
}

/// Looks at the workflow that delivers the webhook of a task. `None` if Temporal does not have it any more, or it is not the
/// task's own.
///
/// # Errors
/// When Temporal or the key service does not answer.
pub(super) async fn look(
    target: &Target,
    task: &TaskId,
    workflow: &str,
) -> Result<Option<WebhookState>, ClientError> {
    let handle = target
        .client
        .get_workflow_handle::<UntypedWorkflow>(workflow.to_owned());
    let description = match handle.describe(WorkflowDescribeOptions::default()).await {
        Ok(description) => description,
        Err(WorkflowInteractionError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(ClientError::of_call(task, &error)),
    };
    let is_own = description.workflow_type() == WEBHOOK_WORKFLOW
        && description.parent_id() == Some(task.as_str());
    if !is_own {
        return Ok(None);
    }
    let (status, error) = match description.status() {
        WorkflowExecutionStatus::Running => (
            WebhookStatus::Pending,
            attempt_problem(description.raw(), task.as_str()),
        ),
        WorkflowExecutionStatus::Completed => (WebhookStatus::Delivered, None),
        _ => {
            let ended = handle.get_result(WorkflowGetResultOptions::default()).await;
            let problem = match &ended {
                Err(WorkflowGetResultError::Failed(error)) => problem(error, task),
                _ => None,
            };
            let unknown = || "the webhook was not delivered in time, or was stopped".to_owned();
            (WebhookStatus::Failed, Some(problem.unwrap_or_else(unknown)))
        }
    };
    Ok(Some(WebhookState { status, error }))
}

/// What the worker reports of this task. Messages of failures can be copied from another task.
fn problem(error: &IncomingError, task: &TaskId) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let IncomingError::Application(failure) = error {
            let report: Option<FailureReport> = failure.details().ok().flatten();
            if let Some(report) = report.filter(|report| report.task_id == task.as_str()) {
                return Some(report.message);
            }
        }
        cause = error.cause();
    }
    None
}
