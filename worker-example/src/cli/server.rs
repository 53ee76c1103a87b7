//! Where a command finds its task: in Temporal, or at a task service by its HTTP API.

use clap::Args;
use futures::{StreamExt as _, stream::BoxStream};
use temporal_kms_codec_service::arguments::variable;
use url::Url;

use super::{connection::ConnectionArgs, exit::CommandError};
use crate::{
    client::{
        Cancellation, ClientError, KeyUse, RemoteClient, RemoteTask, Task, TaskClient, TaskEnd,
        TaskEvent, TaskProgress, TaskStatus,
    },
    task::{Secret, TaskId},
};

/// The variable with the caller's token. It is not an option, because all users of a machine can read arguments.
///
/// | variable | meaning |
/// |---|---|
/// | `CLAUDE_TASKS_TOKEN` | the caller's token, for commands with `--server` |
const TOKEN: &str = "CLAUDE_TASKS_TOKEN";

/// The task service to call instead of Temporal.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ServerArgs {
    /// The URL of a task service (`claude-tasks api`) to call instead of Temporal. It needs no key. The token comes from
    /// `CLAUDE_TASKS_TOKEN`, such as a Google identity token.
    #[arg(long, env = "CLAUDE_TASKS_SERVER", value_name = "URL")]
    pub server: Option<Url>,
}

impl ServerArgs {
    /// The client of the service, if one is named.
    ///
    /// # Errors
    /// When the URL would send secrets unencrypted to another machine.
    pub(super) fn client(&self) -> Result<Option<RemoteClient>, CommandError> {
        let Some(url) = self.server.clone() else {
            return Ok(None);
        };
        let token = variable(TOKEN).map(Secret::new);
        Ok(Some(RemoteClient::new(url, token)?))
    }

    /// A task that was submitted before.
    ///
    /// # Errors
    /// When Temporal cannot be reached, or a setting is wrong.
    pub(super) async fn task(
        &self,
        connection: &ConnectionArgs,
        keys: KeyUse,
        id: &TaskId,
    ) -> Result<AnyTask, CommandError> {
        if let Some(client) = self.client()? {
            return Ok(AnyTask::Remote(client.task(id.clone())));
        }
        let client = TaskClient::connect(&connection.options(keys)?).await?;
        Ok(AnyTask::Direct(Box::new(client.task(id))))
    }
}

/// A task in Temporal, or at a task service.
pub(super) enum AnyTask {
    Direct(Box<Task>),
    Remote(RemoteTask),
}

impl AnyTask {
    pub(super) fn id(&self) -> &TaskId {
        match self {
            Self::Direct(task) => task.id(),
            Self::Remote(task) => task.id(),
        }
    }

    pub(super) async fn status(&self) -> Result<TaskStatus, ClientError> {
        match self {
            Self::Direct(task) => task.status().await,
            Self::Remote(task) => task.status().await,
        }
    }

    /// The status, and how far the task is. Without the key, a task in Temporal tells only its step.
    pub(super) async fn progress(&self) -> Result<(TaskStatus, TaskProgress), ClientError> {
        match self {
            Self::Direct(task) => {
                let look = task.look().await?;
                Ok((look.status, look.progress))
            }
            Self::Remote(task) => task.progress().await,
        }
    }

    pub(super) fn follow(&self) -> BoxStream<'static, Result<TaskEvent, ClientError>> {
        match self {
            Self::Direct(task) => task.follow().boxed(),
            Self::Remote(task) => task.follow().boxed(),
        }
    }

    pub(super) async fn cancel(&self) -> Result<Cancellation, ClientError> {
        match self {
            Self::Direct(task) => task.cancel().await,
            Self::Remote(task) => task.cancel().await,
        }
    }

    /// Waits until the task ends.
    pub(super) async fn result(&self) -> Result<TaskEnd, ClientError> {
        let task = match self {
            Self::Direct(task) => return task.result().await,
            Self::Remote(task) => task,
        };
        if let Some(end) = task.end().await? {
            return Ok(end);
        }
        let mut events = self.follow();
        while let Some(event) = events.next().await {
            if let TaskEvent::Ended(end) = event? {
                return Ok(*end);
            }
        }
        Err(ClientError::Server {
            problem: "the stream has ended before the task".to_owned(),
        })
    }
}
