//! The clients of `POST /run`. A task is cancelled when the last of them has closed its connection.
//!
//! A client that has lost its connection sends its request again. The server can notice the lost connection later than the new one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{runtime::Handle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{client::Task, task::TaskId};

/// How often a task is cancelled while Temporal does not answer, and the pause between two attempts.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(2);

/// The clients of all tasks in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<TaskId, Connected>>>);

/// The clients of one task.
#[derive(Debug, Default)]
struct Connected {
    count: usize,
    /// Whether one of them has started the task. A task that was started in the background belongs to no connection.
    has_starter: bool,
}

impl Clients {
    /// Counts a client until its [`Client`] is dropped. `is_starter` says whether its request has started the task. `stop` says
    /// that the server closes the connections.
    pub(super) fn join(&self, task: &Task, is_starter: bool, stop: &CancellationToken) -> Client {
        self.add(task.id(), is_starter);
        Client(Some(Connection {
            clients: self.clone(),
            task: task.clone(),
            stop: stop.clone(),
            is_done: false,
        }))
    }

    fn add(&self, task: &TaskId, is_starter: bool) {
        let mut all = self.0.lock();
        let connected = all.entry(task.clone()).or_default();
        connected.count = connected.count.saturating_add(1);
        connected.has_starter |= is_starter;
    }

    /// Whether the task has lost its last client, and must not run without one.
    fn remove(&self, task: &TaskId) -> bool {
        let mut all = self.0.lock();
        let Some(connected) = all.get_mut(task) else {
            return false;
        };
        connected.count = connected.count.saturating_sub(1);
        if connected.count > 0 {
            return false;
        }
        all.remove(task)
            .is_some_and(|connected| connected.has_starter)
    }
}

/// One client that follows a task.
pub(super) struct Client(Option<Connection>);

struct Connection {
    clients: Clients,
    task: Task,
    stop: CancellationToken,
    is_done: bool,
}

impl Client {
    /// A client without which the task continues.
    pub(super) fn watching() -> Self {
        Self(None)
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
        let is_last = self.clients.remove(self.task.id());
        if !is_last || self.is_done || self.stop.is_cancelled() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(cancel(self.task.clone()));
        }
    }
}

async fn cancel(task: Task) {
    tracing::info!(task = %task.id(), "the client has left; the task is cancelled");
    for _ in 0..ATTEMPTS {
        match task.cancel().await {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(task = %task.id(), %error, "cannot cancel a task whose client has left");
            }
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_cancelled_when_the_last_client_of_a_started_task_leaves() {
        let clients = Clients::default();
        let task: TaskId = "t".parse().unwrap();
        clients.add(&task, true);
        assert!(clients.remove(&task));
        // The retry comes before the lost connection is noticed.
        clients.add(&task, true);
        clients.add(&task, false);
        assert!(!clients.remove(&task));
        assert!(clients.remove(&task));
        // The task was started in the background.
        clients.add(&task, false);
        assert!(!clients.remove(&task));
        assert!(!clients.remove(&task) && clients.0.lock().is_empty());
    }
}
