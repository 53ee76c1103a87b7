//! Starts the task of a request. The same request with the same id is one task.

use std::{io, time::SystemTime};

use sha2::{Digest as _, Sha256};

use super::{access::Caller, app::App, error::ApiError};
use crate::{
    client::{ClientError, Owner, SubmitOptions, Task, TaskStatus},
    task::{Follower, TaskId, TaskRequest},
};

/// A task that runs for a request.
pub(super) struct Started {
    pub(super) task: Task,
    pub(super) created: SystemTime,
    pub(super) status: TaskStatus,
    /// Whether this request has started it, and not an earlier one.
    pub(super) is_new: bool,
    /// Whether it goes on when nobody follows it.
    pub(super) is_in_background: bool,
    /// Whether Temporal was asked to cancel it.
    is_cancel_requested: bool,
}

impl Started {
    /// Has a task that `/run` has started go on without connections.
    ///
    /// # Errors
    /// When it is cancelled already: its last connection can have left just before. And when Temporal or a worker does not
    /// answer.
    pub(super) async fn keep(&self) -> Result<(), ApiError> {
        let cancelled = || Err(ApiError::Cancelled(self.task.id().clone()));
        match self.status {
            TaskStatus::Cancelled => return cancelled(),
            status if !status.is_open() => return Ok(()),
            _ => {}
        }
        let joined = self.task.join(Follower::in_background(self.task.id()));
        joined.await.map_err(|undelivered| *undelivered.error)?;
        if self.is_cancel_requested || self.task.is_cancelled_by_itself().await? {
            return cancelled();
        }
        Ok(())
    }
}

/// Starts the task, or finds the one that the same request has started before.
///
/// # Errors
/// When another request has used the id, or Temporal or the key service does not answer.
pub(super) async fn start(
    app: &App,
    caller: &Caller,
    request: TaskRequest,
    is_in_background: bool,
) -> Result<Started, ApiError> {
    let id = request.task_id.clone().unwrap_or_else(TaskId::random);
    caller.noted.task(&id);
    let owner = Owner::new(&id, caller.owner(), digest(&request)).in_background(is_in_background);
    let options = SubmitOptions::new()
        .with_task_id(id.clone())
        .with_owner(owner.clone());
    match app.client.submit(request, options).await {
        Ok(task) => {
            tracing::info!(task = %task.id(), "task accepted");
            Ok(Started {
                task,
                created: SystemTime::now(),
                status: TaskStatus::WaitingForWorker,
                is_new: true,
                is_in_background,
                is_cancel_requested: false,
            })
        }
        Err(ClientError::Exists(id)) => {
            let task = app.client.task(&id);
            let known = match task.look().await {
                // Its log is still stored.
                Err(ClientError::NotFound(id)) => return Err(ApiError::Exists(id)),
                known => known?,
            };
            let Some(first) = known.owner.filter(|first| first.is_same(&owner)) else {
                return Err(ApiError::Exists(id));
            };
            Ok(Started {
                task,
                created: known.created.unwrap_or_else(SystemTime::now),
                status: known.status,
                is_new: false,
                is_in_background: first.is_in_background(),
                is_cancel_requested: known.is_cancel_requested,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// What tells two requests apart. It makes no copy of the request.
fn digest(request: &TaskRequest) -> String {
    struct Hashed(Sha256);
    impl io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hashed = Hashed(Sha256::new());
    // This cannot fail: the writer accepts everything.
    let _ = serde_json::to_writer(&mut hashed, request);
    hex::encode(hashed.0.finalize())
}
