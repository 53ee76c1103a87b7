//! The clients of `POST /run`. A task is cancelled when the last of them has closed its connection.
//!
//! A client that has lost its connection sends its request again, and perhaps to another process. That process can know of the
//! new connection before this one notices the loss. So the workflow counts connections, and not a process.

use std::time::Duration;

use tokio::{runtime::Handle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{ClientError, Task},
    task::Follower,
};

/// How often Temporal is told while it does not answer, and the pause between two attempts.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(2);

/// One client that follows a task.
pub(super) struct Client(Option<Connection>);

struct Connection {
    task: Task,
    follower: Follower,
    stop: CancellationToken,
    is_done: bool,
}

impl Client {
    /// A client without which the task continues.
    pub(super) fn watching() -> Self {
        Self(None)
    }

    /// The client whose request has started the task. `stop` says that the server closes the connections.
    pub(super) fn starting(task: &Task, stop: &CancellationToken) -> Self {
        Self::new(task, true, stop)
    }

    /// A client whose request has found the task. The workflow knows of it when this returns.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(super) async fn joining(
        task: &Task,
        stop: &CancellationToken,
    ) -> Result<Self, ClientError> {
        // The guard comes first: if this is dropped, the workflow forgets the client.
        let client = Self::new(task, false, stop);
        if let Some(connection) = &client.0 {
            task.join(connection.follower.clone()).await?;
        }
        Ok(client)
    }

    fn new(task: &Task, is_starter: bool, stop: &CancellationToken) -> Self {
        Self(Some(Connection {
            task: task.clone(),
            follower: Follower::new(task.id(), is_starter),
            stop: stop.clone(),
            is_done: false,
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
            runtime.spawn(leave(self.task.clone(), self.follower.clone()));
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
