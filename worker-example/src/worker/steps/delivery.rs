//! What any worker can do for a task: delete its secrets, and store how it ended.

use std::sync::Arc;

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::held::Run;
use crate::{
    store::Vault,
    task::{CloseTask, FailureKind, TaskId, TaskIdError},
    worker::failures::{self, FOR_ANOTHER_TASK},
};

/// The activities of the task queue for deliveries.
#[derive(Debug)]
pub(crate) struct DeliveryActivities {
    /// Where secrets and logs are stored.
    pub(in crate::worker) vault: Option<Vault>,
}

#[activities]
impl DeliveryActivities {
    /// Deletes the secrets of a task that ends, and stores how it ended.
    #[activity(name = "close_task")]
    pub(crate) async fn close_task(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CloseTask,
    ) -> Result<(), ActivityError> {
        let id = Run::of(&ctx).workflow;
        let refused = |problem: String| {
            failures::of_session(&id, FailureKind::InvalidRequest, problem, None)
        };
        if input.task_id != id {
            return Err(refused(FOR_ANOTHER_TASK.to_owned()).into());
        }
        let task: TaskId = id
            .parse()
            .map_err(|error: TaskIdError| refused(error.to_string()))?;
        let failed = |problem: &dyn std::fmt::Display| {
            failures::of_attempt(&id, FailureKind::CannotRun, problem.to_string())
        };
        let vault = self.vault.as_ref().ok_or_else(|| {
            failed(&"the task has objects in a store, and this worker has none. Start it with --store")
        })?;
        vault.delete_secrets(&task).await.map_err(|e| failed(&e))?;
        if let Some(metadata) = &input.metadata {
            let stored = vault.put_metadata(&task, metadata).await;
            stored.map_err(|e| failed(&e))?;
        }
        Ok(())
    }
}
