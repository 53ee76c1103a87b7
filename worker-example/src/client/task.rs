//! One task: its status, its events, its result, and its cancellation.

use std::fmt;

use futures::Stream;
use temporalio_client::{
    WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowSignalOptions, errors::WorkflowInteractionError,
};

use super::{
    error::ClientError,
    follow::{TaskEvent, follow},
    heartbeats::{WorkflowOfTask, rpc_options},
    look::Look,
    status::TaskStatus,
    target::Target,
    task_end::TaskEnd,
    undelivered::{Undelivered, is_transient},
    webhook_state::{self, WebhookState},
};
use crate::task::{Follower, FollowerJoined, FollowerLeft, State, TaskId};

/// One task. [`TaskClient::submit`](super::TaskClient::submit) and [`TaskClient::task`](super::TaskClient::task) return it.
#[derive(Clone)]
pub struct Task {
    id: TaskId,
    target: Target,
    workflow: WorkflowOfTask,
}

/// What a request to cancel a task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancellation {
    /// Temporal has accepted it. The task ends when its worker has cleaned up.
    Accepted,
    /// Nothing, because the task had ended before.
    AlreadyEnded(TaskStatus),
}

impl Task {
    pub(super) fn new(id: TaskId, target: Target, workflow: WorkflowOfTask) -> Self {
        Self {
            id,
            target,
            workflow,
        }
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// The task's status. This needs no key.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the task does not exist, and other errors when Temporal does not answer.
    pub async fn status(&self) -> Result<TaskStatus, ClientError> {
        let described = self
            .workflow
            .describe(WorkflowDescribeOptions::default())
            .await;
        let description = described.map_err(|error| self.explain(&error))?;
        Ok(TaskStatus::of(&description))
    }

    /// What Temporal knows of the task.
    ///
    /// # Errors
    /// As [`status`](Self::status), and when the memo cannot be decrypted.
    pub(crate) async fn look(&self) -> Result<Look, ClientError> {
        let described = self
            .workflow
            .describe(WorkflowDescribeOptions::default())
            .await;
        Ok(Look::at(&described.map_err(|error| self.explain(&error))?))
    }

    /// As [`follow`](Self::follow), for a follower that has all events before the one with this number. If those from there
    /// on are not there any more, the stream says how many were missed.
    pub fn follow_from(
        &self,
        next: u64,
    ) -> impl Stream<Item = Result<TaskEvent, ClientError>> + Send + use<> {
        follow(
            self.target.clone(),
            self.id.clone(),
            self.workflow.clone(),
            next,
        )
    }

    /// What happens to the task from now on, until its end. The last item is [`TaskEvent::Ended`] or an error. The stream
    /// asks Temporal for news while it is polled, and can be dropped at any time.
    pub fn follow(&self) -> impl Stream<Item = Result<TaskEvent, ClientError>> + Send + use<> {
        self.follow_from(0)
    }

    /// Waits until the task ends.
    ///
    /// # Errors
    /// When the task does not exist, its result cannot be decrypted or belongs to another task, or Temporal does not answer.
    pub async fn result(&self) -> Result<TaskEnd, ClientError> {
        let result = self
            .workflow
            .get_result(WorkflowGetResultOptions::default())
            .await;
        self.target.task_end(&self.id, result)
    }

    /// How far the webhook is that this workflow delivers. `None` if Temporal does not have it any more.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(crate) async fn webhook(
        &self,
        workflow: &str,
    ) -> Result<Option<WebhookState>, ClientError> {
        webhook_state::look(&self.target, &self.id, workflow).await
    }

    /// Asks for the task's end, and does not wait for it. This needs no key, so it works while the key service is
    /// unreachable.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the task does not exist, and other errors when Temporal does not answer.
    pub async fn cancel(&self) -> Result<Cancellation, ClientError> {
        // Temporal may accept the cancellation of a task that has ended.
        let before = self.status().await?;
        if !before.is_open() {
            return Ok(Cancellation::AlreadyEnded(before));
        }
        let answer = self.workflow.cancel(WorkflowCancelOptions::default()).await;
        if is_accepted(answer).map_err(|error| self.explain(&error))? {
            return Ok(Cancellation::Accepted);
        }
        Ok(Cancellation::AlreadyEnded(self.status().await?))
    }

    /// Tells the workflow that a connection follows the task. A task that has ended does not need to know.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(crate) async fn join(&self, follower: Follower) -> Result<(), Undelivered> {
        let options = signal_options(&follower, "joined");
        let answer = self
            .workflow
            .signal(FollowerJoined, follower, options)
            .await;
        self.signalled(answer)
    }

    /// Tells the workflow that a connection was lost. It cancels the task if the connection was the last one.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub(crate) async fn leave(&self, follower: Follower) -> Result<(), Undelivered> {
        let options = signal_options(&follower, "left");
        self.signalled(self.workflow.signal(FollowerLeft, follower, options).await)
    }

    /// Whether the task has cancelled itself, because its last connection has left. The answer counts all signals that Temporal
    /// has accepted before.
    ///
    /// # Errors
    /// When no worker answers in time, or Temporal or the key service does not answer.
    pub(crate) async fn is_cancelled_by_itself(&self) -> Result<bool, ClientError> {
        let options = WorkflowQueryOptions::builder()
            .rpc_options(rpc_options())
            .build();
        let state = self.workflow.query(State, (), options).await;
        let state = state.map_err(|error| ClientError::of_call(&self.id, &error))?;
        if state.task_id != self.id.as_str() {
            return Err(ClientError::ForeignResult(self.id.clone()));
        }
        Ok(state.is_cancelled)
    }

    fn signalled(&self, answer: Result<(), WorkflowInteractionError>) -> Result<(), Undelivered> {
        is_accepted(answer).map(drop).map_err(|error| Undelivered {
            is_transient: is_transient(&error),
            error: Box::new(self.explain(&error)),
        })
    }

    fn explain(&self, error: &WorkflowInteractionError) -> ClientError {
        if let Some(missing) = self.target.missing_namespace(error) {
            return missing.into();
        }
        match error {
            WorkflowInteractionError::NotFound(_) => ClientError::NotFound(self.id.clone()),
            error => ClientError::of_call(&self.id, error),
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("task_queue", &self.target.task_queue)
            .finish_non_exhaustive()
    }
}

/// The same signal of the same follower counts once, also if it is sent again because the answer was lost.
fn signal_options(follower: &Follower, what: &str) -> WorkflowSignalOptions {
    WorkflowSignalOptions::builder()
        .request_id(format!("{what}-{}", follower.id()))
        .build()
}

/// Whether Temporal has accepted a cancellation or a signal. It knows no open task if the task ended at the same time.
fn is_accepted(
    answer: Result<(), WorkflowInteractionError>,
) -> Result<bool, WorkflowInteractionError> {
    match answer {
        Ok(()) => Ok(true),
        Err(WorkflowInteractionError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use temporalio_client::tonic::Status;

    use super::*;

    #[test]
    fn a_task_that_ends_while_it_is_cancelled_has_a_result() {
        let ended = WorkflowInteractionError::NotFound(Status::not_found("completed"));
        assert!(!is_accepted(Err(ended)).unwrap());
        assert!(is_accepted(Ok(())).unwrap());
        let failed = WorkflowInteractionError::Rpc(Status::unavailable("away"));
        assert!(is_accepted(Err(failed)).is_err());
    }
}
