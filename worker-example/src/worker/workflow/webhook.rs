//! The workflow `ClaudeTaskWebhook`: tells the caller's server that a task has ended, until the server acknowledges it.
//!
//! It is a workflow of its own, so that a task ends although its receiver is unreachable for hours.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ParentClosePolicy, WorkflowCancellationToken,
    WorkflowContext, WorkflowResult,
};

use super::ClaudeTask;
use crate::{
    webhook::Body,
    worker::steps::{Delivery, DeliveryActivities, delivery_queue, webhook_workflow},
};

/// How long Temporal tries at most. A worker gives up earlier, as its operator says.
const LONGEST: Duration = Duration::from_hours(7 * 24);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// The workflow that delivers a webhook.
#[workflow]
#[derive(Default)]
pub(crate) struct ClaudeTaskWebhook;

#[workflow_methods]
impl ClaudeTaskWebhook {
    /// Delivers the webhook.
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        delivery: Delivery,
    ) -> WorkflowResult<()> {
        let retries = RetryPolicy::builder()
            .initial_interval(FIRST_PAUSE)
            .maximum_interval(LONGEST_PAUSE)
            .build();
        let options = ActivityOptions::with_schedule_to_close_timeout(LONGEST)
            .task_queue(delivery_queue(ctx.task_queue()))
            .retry_policy(retries)
            .build();
        ctx.execute_activity(DeliveryActivities::send_webhook, delivery, options)
            .await?;
        Ok(())
    }
}

/// Starts the delivery of a task's webhook, and does not wait for its end.
pub(super) async fn start(ctx: &WorkflowContext<ClaudeTask>, task: &str, url: &str, body: Body) {
    let options = ChildWorkflowOptions::builder()
        .workflow_id(webhook_workflow(task))
        .parent_close_policy(ParentClosePolicy::Abandon)
        // A cancelled task is told, too.
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    let delivery = Delivery {
        task_id: task.to_owned(),
        url: url.to_owned(),
        body,
    };
    // It exists already if the task's workflow was reset: then the receiver was told.
    let _ = ctx
        .start_child_workflow(ClaudeTaskWebhook::run, delivery, options)
        .await;
}
