//! What any worker can do for a task: delete its secrets, and store how it ended.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::held::Run;
use crate::{
    store::Vault,
    task::{CloseTask, FailureKind, TaskId, TaskIdError},
    webhook::{Body, SECRET, Sender},
    worker::failures::{self, FOR_ANOTHER_TASK},
};

/// A webhook and its receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) task_id: String,
    pub(crate) url: String,
    pub(crate) body: Body,
}

/// The id of the workflow that delivers a task's webhook. No task has this id, because of the full stop.
pub(crate) fn webhook_workflow(task: &str) -> String {
    format!("{task}.webhook")
}

/// The activities of the task queue for deliveries.
#[derive(Debug)]
pub(crate) struct DeliveryActivities {
    /// Where secrets and logs are stored.
    pub(in crate::worker) vault: Option<Vault>,
    /// Sends webhooks. `None` without a secret that signs them.
    pub(in crate::worker) webhooks: Option<Sender>,
    /// How long a webhook is tried.
    pub(in crate::worker) webhook_age: Duration,
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
        let refused =
            |problem: String| failures::of_session(&id, FailureKind::InvalidRequest, problem, None);
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
            failed(
                &"the task has objects in a store, and this worker has none. Start it with --store",
            )
        })?;
        vault.delete_secrets(&task).await.map_err(|e| failed(&e))?;
        if let Some(metadata) = &input.metadata {
            let stored = vault.put_metadata(&task, metadata).await;
            stored.map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    /// Sends a webhook once. Temporal tries again until the receiver acknowledges it, refuses it for good, or it is too old.
    #[activity(name = "send_webhook")]
    pub(crate) async fn send_webhook(
        self: Arc<Self>,
        ctx: ActivityContext,
        delivery: Delivery,
    ) -> Result<(), ActivityError> {
        let id = Run::of(&ctx).workflow;
        let failed = |is_final: bool, problem: String| -> ActivityError {
            let (task, kind) = (&delivery.task_id, FailureKind::CannotRun);
            if is_final {
                failures::of_session(task, kind, problem, None).into()
            } else {
                failures::of_attempt(task, kind, problem).into()
            }
        };
        if webhook_workflow(&delivery.task_id) != id || delivery.body.task_id != delivery.task_id {
            return Err(failed(true, FOR_ANOTHER_TASK.to_owned()));
        }
        let sender = self.webhooks.as_ref().ok_or_else(|| {
            let problem = format!("this worker cannot sign webhooks. Set {SECRET}");
            failed(false, problem)
        })?;
        let age = ctx
            .info()
            .scheduled_time
            .and_then(|scheduled| scheduled.elapsed().ok())
            .unwrap_or_default();
        match sender.send(&delivery.url, &delivery.body).await {
            Ok(()) => {
                tracing::info!(task = delivery.task_id, "webhook delivered");
                Ok(())
            }
            Err(error) => {
                let is_final = !error.retry || age >= self.webhook_age;
                tracing::warn!(task = delivery.task_id, %error, is_final, "webhook not delivered");
                Err(failed(is_final, error.to_string()))
            }
        }
    }
}
