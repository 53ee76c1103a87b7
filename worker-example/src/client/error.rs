//! Why a call of the client library failed.

use std::error::Error;

use thiserror::Error;

use super::{
    chain::error_chain, connect_error::ConnectError, namespace::MissingNamespace, queue::no_worker,
};
use crate::task::TaskId;

/// A call failed. A task that failed is not an error but a [`TaskEnd`](super::TaskEnd).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Temporal or the key cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The namespace does not exist.
    #[error(transparent)]
    Namespace(#[from] MissingNamespace),
    /// A task with this id exists, or existed.
    #[error("a task `{0}` already exists or existed; choose another --task-id")]
    Exists(TaskId),
    /// No task has this id.
    #[error("the task `{0}` does not exist in this namespace; check the id and --namespace")]
    NotFound(TaskId),
    /// The stored result belongs to another task.
    #[error(
        "the stored result of task `{0}` belongs to another task. Somebody who can write to Temporal replaced it. Do not \
         use it, and submit the task again with another id"
    )]
    ForeignResult(TaskId),
    /// A worker is required, and no worker polls the task queue.
    #[error("{}", no_worker(.0))]
    NoWorker(String),
    /// Temporal refused the task, or did not answer.
    #[error("cannot submit task `{task}`: {problem}")]
    Submit {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Temporal or the key service did not answer a call about the task.
    #[error(
        "cannot get news of task `{task}`: {problem}. The task continues; try `claude-tasks follow {task}`"
    )]
    Unreachable {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// The stored payloads of the task cannot be decrypted with this client's keys.
    #[error("cannot decrypt task `{task}`: {problem}. Use the key with which it was submitted")]
    Unreadable {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
}

impl ClientError {
    /// The error of a call about a task that exists.
    pub(super) fn of_call(task: &TaskId, error: &(dyn Error + 'static)) -> Self {
        let (task, problem) = (task.clone(), error_chain(error));
        if is_unreadable(error) {
            Self::Unreadable { task, problem }
        } else {
            Self::Unreachable { task, problem }
        }
    }
}

/// Whether a payload was refused for good. A transient error of the key service does not count.
fn is_unreadable(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<temporal_kms_codec::Error>() {
            return !error.is_transient();
        }
        cause = error.source();
    }
    false
}
