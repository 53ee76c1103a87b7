//! What any worker can do for a task: delete its secrets, store how it ended, and tell its receiver.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::held::Run;
use crate::{
    task::{CloseTask, FailureKind, TaskId, TaskIdError, TaskInput},
    webhook::{Approved, Body, SECRET},
    worker::{
        failures::{self, FOR_ANOTHER_TASK},
        runner::TaskRunner,
    },
};

/// A webhook and its receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) task_id: String,
    pub(crate) url: String,
    pub(crate) body: Body,
    /// Shows that a worker has checked the request with this receiver.
    #[serde(default)]
    pub(crate) approval: String,
}

impl Delivery {
    /// The ids of the workflow that delivers the webhook. No task has these ids, because of the full stop. Everybody who can
    /// write to Temporal can take the first one before the task ends. Nobody else can know the second one before it is used.
    pub(crate) fn workflows(&self) -> [String; 2] {
        let first = format!("{}.webhook", self.task_id);
        let hash = hex::encode(Sha256::digest(&self.approval));
        let second = format!("{first}-{}", hash.get(..16).unwrap_or(&hash));
        [first, second]
    }
}

/// The activities of the task queue for deliveries.
#[derive(Debug)]
pub(crate) struct DeliveryActivities {
    pub(in crate::worker) runner: Arc<TaskRunner>,
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
        let vault = self.runner.vault.as_ref().ok_or_else(|| {
            failed(
                &"the task has objects in a store, and this worker has no store. Start it with --store",
            )
        })?;
        vault.delete_secrets(&task).await.map_err(|e| failed(&e))?;
        if let Some(metadata) = &input.metadata {
            let stored = vault.put_metadata(&task, metadata).await;
            stored.map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    /// Approves the webhook of a task that was not prepared, and so was not checked.
    #[activity(name = "approve_webhook")]
    pub(crate) async fn approve_webhook(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: TaskInput,
    ) -> Result<String, ActivityError> {
        let id = Run::of(&ctx).workflow;
        Ok(self.runner.approve_callback(&id, input).await?)
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
        if !delivery.workflows().contains(&id) || delivery.body.task_id != delivery.task_id {
            return Err(failed(true, FOR_ANOTHER_TASK.to_owned()));
        }
        let sender = self.runner.webhooks.as_ref().ok_or_else(|| {
            let problem = format!("this worker cannot sign webhooks. Set {SECRET}");
            failed(false, problem)
        })?;
        let age = ctx
            .info()
            .scheduled_time
            .and_then(|scheduled| scheduled.elapsed().ok())
            .unwrap_or_default();
        let approved = Approved {
            namespace: &self.runner.namespace,
            task: &delivery.task_id,
            url: &delivery.url,
        };
        if !sender.secrets().has_approved(approved, &delivery.approval) {
            tracing::warn!(
                task = delivery.task_id,
                "a webhook without an approval is not sent"
            );
            // While the secrets change, another worker can know the one that approved it.
            let is_final = delivery.approval.is_empty() || age >= self.webhook_age;
            let problem = format!(
                "no worker with this secret has approved the webhook. Set {SECRET} to the same value on all workers"
            );
            return Err(failed(is_final, problem));
        }
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
