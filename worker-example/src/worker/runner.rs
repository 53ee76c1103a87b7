//! What a worker does for a task: prepare it, run Claude Code, and remove what is left.

mod actions;
mod prepare;
mod request;
mod session;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    claude::{ClaudeConfig, OutputLimits, Redactor},
    confinement::Confinement,
    log_store::TaskLog,
    uploads::Uploads,
};
use crate::{
    git::{Checkout, GitSettings},
    proxy::EgressProxy,
    sandbox::{Programs, Workspace},
    signed::RequestKeys,
    store::Vault,
    task::{TaskId, TaskRequest},
    webhook::Sender,
};

/// What a worker does for a task, with the operator's settings.
#[derive(Debug)]
pub(crate) struct TaskRunner {
    /// How Claude Code is run.
    pub(crate) claude: ClaudeConfig,
    /// What every task gets around it.
    pub(crate) confinement: Confinement,
    /// The folder of workspaces and logs.
    pub(crate) workdir: PathBuf,
    /// The limits of the output.
    pub(crate) limits: OutputLimits,
    /// How long a stopped task may take to clean up.
    pub(crate) grace: Duration,
    /// How long Claude Code may run after its result without beginning another turn.
    pub(crate) linger: Duration,
    /// How often progress is sent in a heartbeat.
    pub(crate) interval: Duration,
    /// Cancelled when running tasks must end because the worker ends.
    pub(crate) ending: CancellationToken,
    /// Where secrets and logs are stored.
    pub(crate) vault: Option<Vault>,
    /// The keys whose signatures are accepted.
    pub(crate) request_keys: RequestKeys,
    /// How repositories are reached.
    pub(crate) git: GitSettings,
    /// Sends webhooks. `None` without a secret that signs them.
    pub(crate) webhooks: Option<Sender>,
    /// The uploads of all tasks.
    pub(super) uploads: Uploads,
    /// The namespace, which requests are signed for.
    pub(crate) namespace: String,
}

/// A task whose workspace is ready.
#[derive(Debug)]
pub(super) struct PreparedTask {
    pub(super) task: TaskId,
    request: Arc<TaskRequest>,
    warnings: Vec<String>,
    redactor: Arc<Redactor>,
    // Dropped in this order: the socket must be gone before another task gets the user that may use it.
    egress: Option<EgressProxy>,
    /// They end before the workspace is removed.
    programs: Programs,
    workspace: Workspace,
    log: TaskLog,
    /// The folder in which Claude Code runs.
    folder: PathBuf,
    /// What was checked out.
    checkout: Option<Checkout>,
    /// The files that the service wrote into the workspace.
    generated: Vec<String>,
}

impl PreparedTask {
    /// Whether the request asks for actions after a successful session.
    pub(super) fn has_actions(&self) -> bool {
        self.request.post_execution_actions.is_some()
    }

    /// Removes the workspace. The log stays.
    pub(super) async fn remove(self) {
        drop(self.egress);
        drop(self.programs);
        remove(&self.task, self.workspace).await;
    }
}

async fn remove(task: &TaskId, workspace: Workspace) {
    let removed = spawn_blocking(|| workspace.remove()).await;
    if let Err(error) = removed.map_err(io::Error::from).flatten() {
        tracing::error!(task = %task, %error, "cannot remove the task's workspace");
    }
}
