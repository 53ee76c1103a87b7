//! The clients of `POST /run`. A task is cancelled when the last of them has closed its connection.
//!
//! A client that has lost its connection sends its request again, and perhaps to another process. That process can know of the
//! new connection before this one notices the loss. So the workflow counts connections, and not a process.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{app::App, departures::Departures, error::ApiError};
use crate::{client::Task, task::Follower};

/// One client that follows a task.
pub(super) struct Client(Option<Connection>);

struct Connection {
    task: Task,
    follower: Follower,
    departures: Arc<Departures>,
    stop: CancellationToken,
    is_done: bool,
}

impl Client {
    /// A client without which the task continues.
    pub(super) fn watching() -> Self {
        Self(None)
    }

    /// The client whose request has started the task.
    pub(super) fn starting(app: &App, task: &Task) -> Self {
        Self::new(app, task, Follower::new(task.id(), true))
    }

    /// A client whose request has found the task. The workflow knows of it when this returns.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(super) async fn joining(app: &App, task: &Task) -> Result<Self, ApiError> {
        let follower = Follower::new(task.id(), false);
        // The guard comes first: if this is dropped, the workflow forgets the client.
        let mut client = Self::new(app, task, follower.clone());
        task.join(follower).await.map_err(|undelivered| {
            // After an outage the workflow may know of the client. After a refusal it does not.
            if !undelivered.is_transient {
                client.is_done();
            }
            *undelivered.error
        })?;
        Ok(client)
    }

    fn new(app: &App, task: &Task, follower: Follower) -> Self {
        Self(Some(Connection {
            task: task.clone(),
            follower,
            departures: Arc::clone(&app.departures),
            stop: app.stop.clone(),
            is_done: false,
        }))
    }

    /// Records that the workflow needs no news of the client: it has everything, or was never counted.
    pub(super) fn is_done(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.is_done = true;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The clients of a server that stops resume elsewhere.
        if !self.is_done && !self.stop.is_cancelled() {
            self.departures
                .tell(self.task.clone(), self.follower.clone());
        }
    }
}
