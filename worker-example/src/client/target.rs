//! The namespace and the task queue that a client uses.

use std::error::Error;

use temporalio_client::{Client, NamespacedClient as _, errors::WorkflowGetResultError};

use super::{MissingNamespace, error::ClientError, namespace::is_missing, task_end::TaskEnd};
use crate::{
    signed::RequestSigner,
    store::Vault,
    task::{TaskId, TaskResult},
};

/// The namespace and the task queue that a client uses.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) task_queue: String,
    pub(super) address: String,
    pub(super) vault: Option<Vault>,
    pub(super) signer: Option<RequestSigner>,
}

impl Target {
    /// The missing namespace, if that is the reason of an error.
    pub(super) fn missing_namespace(
        &self,
        error: &(dyn Error + 'static),
    ) -> Option<MissingNamespace> {
        is_missing(error)
            .then(|| MissingNamespace::new(self.client.namespace(), self.address.as_str()))
    }

    /// How a task ended, from the result of its workflow.
    ///
    /// # Errors
    /// When the namespace or the result is missing, or the result cannot be decoded or belongs to another task.
    pub(super) fn task_end(
        &self,
        task: &TaskId,
        result: Result<TaskResult, WorkflowGetResultError>,
    ) -> Result<TaskEnd, ClientError> {
        if let Err(error) = &result
            && let Some(missing) = self.missing_namespace(error)
        {
            return Err(missing.into());
        }
        TaskEnd::of(task, result)
    }
}
