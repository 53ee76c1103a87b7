//! The workflow `ClaudeTaskWebhook`: tells the caller's server that a task has ended, until the server acknowledges it.
//!
//! It is a workflow of its own, so that a task ends although its receiver is unreachable for hours.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityOptions, ChildWorkflowOptions, ParentClosePolicy,
    WorkflowCancellationToken, WorkflowContext, WorkflowResult,
};

use super::{ClaudeTask, without_message};
use crate::worker::steps::{Delivery, DeliveryActivities, delivery_queue};

/// How long Temporal tries at most. A worker gives up earlier, as its operator says.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// How long one attempt takes at most, with both secrets. After a longer silence its worker is lost.
const ATTEMPT: Duration = Duration::from_mins(2);
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
        without_message(deliver(ctx, delivery)).await
    }
}

async fn deliver(
    ctx: &WorkflowContext<ClaudeTaskWebhook>,
    delivery: Delivery,
) -> WorkflowResult<()> {
    let retries = RetryPolicy::builder()
        .initial_interval(FIRST_PAUSE)
        .maximum_interval(LONGEST_PAUSE)
        .build();
    let timeouts = ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: LONGEST,
        start_to_close: ATTEMPT,
    };
    let options = ActivityOptions::with_close_timeouts(timeouts)
        .task_queue(delivery_queue(ctx.task_queue()))
        .retry_policy(retries)
        .build();
    ctx.execute_activity(DeliveryActivities::send_webhook, delivery, options)
        .await?;
    Ok(())
}

/// Starts the delivery of a task's webhook, and does not wait for its end. Returns the id of its workflow, or why it was not
/// started.
///
/// The second id is for a first one that is taken. Usually an attacker has taken it, to keep the receiver from hearing of the
/// end. If the task's workflow was reset, the receiver is told again, and recognizes the task.
pub(super) async fn start(
    ctx: &WorkflowContext<ClaudeTask>,
    delivery: &Delivery,
) -> Result<String, String> {
    let mut problem = String::new();
    for id in delivery.workflows() {
        let options = ChildWorkflowOptions::builder()
            .workflow_id(id.clone())
            .parent_close_policy(ParentClosePolicy::Abandon)
            // A cancelled task is told, too.
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        let started = ctx
            .start_child_workflow(ClaudeTaskWebhook::run, delivery.clone(), options)
            .await;
        match started {
            Ok(_) => return Ok(id),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(problem)
}
