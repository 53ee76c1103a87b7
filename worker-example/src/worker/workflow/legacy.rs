//! The workflow of tasks that an earlier version began: one activity does everything.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_sdk::{ActivityCancellationType, ActivityOptions, WorkflowContext, WorkflowResult};

use super::{ClaudeTask, HEARTBEAT_TIMEOUT, MARGIN, end::ActivityEnd, until_begun};
use crate::{
    task::{TaskInput, TaskResult},
    worker::activities::ClaudeActivities,
};

pub(super) async fn run(
    ctx: &WorkflowContext<ClaudeTask>,
    task: &str,
    mut input: TaskInput,
) -> WorkflowResult<TaskResult> {
    let metadata = input.take_metadata();
    let options = options(input.timeout(), until_begun());
    let ran = ctx
        .execute_activity(ClaudeActivities::run_claude, input, options)
        .await;
    let end = ActivityEnd::new(task, ran);
    if let Some(progress) = end.progress() {
        ctx.state_mut(|state| state.last = progress.clone());
    }
    let result = end.result(task, metadata);
    end.conclude(result)
}

fn options(timeout: Duration, retries: RetryPolicy) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(timeout + MARGIN)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(retries)
        // A task has ended when its processes have ended and its workspace is removed.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}
