//! The clients of `POST /run`. A task is cancelled when the last of them has closed its connection.
//!
//! A client that has lost its connection sends its request again, and perhaps to another process. That process can know of the
//! new connection before this one notices the loss. So the workflow counts connections, and not a process.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{access::Caller, error::ApiError};
use crate::{client::Task, task::Follower};

/// Attempts to send the signal while Temporal is unreachable.
const ATTEMPTS: u32 = 60;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// One client that follows a task.
pub(super) struct Client(Option<Connection>);

struct Connection {
    task: Task,
    follower: Follower,
    stop: CancellationToken,
    is_done: bool,
    /// Its place is taken until Temporal knows that the client has left. So there are no more such calls than requests may be
    /// open, and the server waits for them when it stops.
    caller: Arc<Caller>,
}

impl Client {
    /// A client without which the task continues.
    pub(super) fn watching() -> Self {
        Self(None)
    }

    /// The client whose request has started the task. `stop` says that the server closes the connections.
    pub(super) fn starting(task: &Task, caller: &Arc<Caller>, stop: &CancellationToken) -> Self {
        Self::new(task, Follower::new(task.id(), true), caller, stop)
    }

    /// A client whose request has found the task. The workflow knows of it when this returns.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(super) async fn joining(
        task: &Task,
        caller: &Arc<Caller>,
        stop: &CancellationToken,
    ) -> Result<Self, ApiError> {
        let follower = Follower::new(task.id(), false);
        // The guard comes first: if this is dropped, the workflow forgets the client.
        let client = Self::new(task, follower.clone(), caller, stop);
        task.join(follower).await?;
        Ok(client)
    }

    fn new(
        task: &Task,
        follower: Follower,
        caller: &Arc<Caller>,
        stop: &CancellationToken,
    ) -> Self {
        Self(Some(Connection {
            task: task.clone(),
            follower,
            stop: stop.clone(),
            is_done: false,
            caller: Arc::clone(caller),
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
            let (task, follower) = (self.task.clone(), self.follower.clone());
            let caller = Arc::clone(&self.caller);
            runtime.spawn(async move {
                leave(task, follower).await;
                drop(caller);
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
