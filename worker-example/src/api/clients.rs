//! The clients of `POST /run`. A task is cancelled when the last of them has closed its connection.
//!
//! A client that has lost its connection sends its request again, and perhaps to another process. That process can know of the
//! new connection before this one notices the loss. So the workflow counts connections, and not a process.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use crate::{client::Task, task::Follower};

/// Attempts to send the signal while Temporal is unreachable.
const ATTEMPTS: u32 = 60;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);
/// Connections of this process that follow tasks beside the ones that started them. One counts until Temporal knows that it has
/// left.
static JOINED: Semaphore = Semaphore::const_new(1000);

/// One client that follows a task.
pub(super) struct Client(Option<Connection>);

struct Connection {
    task: Task,
    follower: Follower,
    stop: CancellationToken,
    is_done: bool,
    /// Of [`JOINED`].
    place: Option<SemaphorePermit<'static>>,
}

impl Client {
    /// A client without which the task continues.
    pub(super) fn watching() -> Self {
        Self(None)
    }

    /// The client whose request has started the task. `stop` says that the server closes the connections.
    pub(super) fn starting(task: &Task, stop: &CancellationToken) -> Self {
        Self::new(task, None, stop)
    }

    /// A client whose request has found the task. The workflow knows of it when this returns.
    ///
    /// # Errors
    /// When too many connections have joined tasks, or Temporal or the key service does not answer.
    pub(super) async fn joining(task: &Task, stop: &CancellationToken) -> Result<Self, ApiError> {
        let place = JOINED.try_acquire().map_err(|_| ApiError::Overloaded)?;
        // The guard comes first: if this is dropped, the workflow forgets the client.
        let client = Self::new(task, Some(place), stop);
        if let Some(connection) = &client.0 {
            task.join(connection.follower.clone()).await?;
        }
        Ok(client)
    }

    fn new(task: &Task, place: Option<SemaphorePermit<'static>>, stop: &CancellationToken) -> Self {
        Self(Some(Connection {
            task: task.clone(),
            follower: Follower::new(task.id(), place.is_none()),
            stop: stop.clone(),
            is_done: false,
            place,
        }))
    }

    /// Records that the client has everything.
    pub(super) fn is_done(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.is_done = true;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_done || self.stop.is_cancelled() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (task, follower, place) =
                (self.task.clone(), self.follower.clone(), self.place.take());
            runtime.spawn(async move {
                leave(task, follower).await;
                drop(place);
            });
        }
    }
}

async fn leave(task: Task, follower: Follower) {
    tracing::info!(task = %task.id(), "a client has left; the task is cancelled unless another one follows it");
    for _ in 0..ATTEMPTS {
        match task.leave(follower.clone()).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(task = %task.id(), %error, "cannot tell Temporal that a client has left");
            }
        }
        sleep(PAUSE).await;
    }
}
