//! The workflow `ClaudeTask`: one task, whose id is the workflow's id.
//!
//! Later versions of this program replay running workflows. What the workflow decides from its input must therefore never
//! change. So the submission and the activities check the request, and the workflow does not. A change of its steps is made
//! behind a patch, as [`STEPS`] is.

mod attributes;
mod end;
mod legacy;
#[cfg(test)]
mod recorded;
mod steps;
mod webhook;

pub(crate) use webhook::ClaudeTaskWebhook;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use futures::FutureExt as _;
use temporalio_common::{RetryPolicy, error::ApplicationFailure};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult};

use super::failures::{self, FOR_ANOTHER_TASK};
use crate::task::{
    FailureKind, Follower, Followers, Progress, Step, TaskInput, TaskResult, TaskState,
};

/// The patch since which a task is done in steps.
const STEPS: &str = "steps";
/// A worker without a heartbeat for this long counts as lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time to prepare and to clean up, in addition to the task's own time. The activity enforces the task's own time.
const MARGIN: Duration = Duration::from_mins(5);
/// How often Temporal tries an activity until a session begins: for about 45 minutes. The activity makes sure that a
/// session which has begun is not repeated.
const ATTEMPTS: u32 = 50;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What is told of a panic in place of its message.
const PANICKED: &str = "a defect; the worker's log says where";

/// The workflow. Its input is a [`TaskInput`] and its result a [`TaskResult`].
#[workflow]
#[derive(Default)]
pub struct ClaudeTask {
    last: Progress,
    step: Step,
    followers: Followers,
    /// Whether the task has cancelled itself.
    is_cancelled: bool,
}

#[workflow_methods]
impl ClaudeTask {
    /// Runs the task.
    ///
    /// # Errors
    /// A non-retryable application failure whose type is a [`FailureKind`], or the cancellation. Both have a [`TaskResult`]
    /// as details.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: TaskInput,
    ) -> WorkflowResult<TaskResult> {
        without_message(run(ctx, input)).await
    }

    /// The newest events of a task that has ended. Followers ask for them because heartbeats end with the activity.
    #[query]
    #[must_use]
    pub fn last_progress(&self, _ctx: &WorkflowContextView) -> Progress {
        handle(|| self.last.clone())
    }

    /// Cancels the task, as a cancellation in Temporal does, and answers whether it does. `task` must be the task's id: the
    /// input is encrypted, so it takes the key to send it, and a copy from another task has no effect.
    #[update]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the SDK gives updates values"
    )]
    pub fn cancel(&mut self, ctx: &mut SyncWorkflowContext<Self>, task: String) -> bool {
        handle(|| {
            let is_meant = task == ctx.workflow_id();
            if is_meant {
                self.is_cancelled = true;
                ctx.cancellation_token().cancel();
            }
            is_meant
        })
    }

    /// A connection follows the task, beside the one that started it.
    #[signal]
    pub(crate) fn follower_joined(
        &mut self,
        ctx: &mut SyncWorkflowContext<Self>,
        follower: Follower,
    ) {
        handle(|| {
            if follower.is_of(ctx.workflow_id()) {
                self.followers.join(follower);
            }
        });
    }

    /// A connection that followed the task was lost. The task is cancelled with the last one.
    #[signal]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the SDK gives signals values"
    )]
    pub(crate) fn follower_left(
        &mut self,
        ctx: &mut SyncWorkflowContext<Self>,
        follower: Follower,
    ) {
        handle(|| {
            if follower.is_of(ctx.workflow_id()) && self.followers.leave(&follower) {
                self.is_cancelled = true;
                ctx.cancellation_token().cancel();
            }
        });
    }

    /// How far the task is, and whether it goes on. A query is answered after all signals before it.
    #[query]
    #[must_use]
    pub fn state(&self, ctx: &WorkflowContextView) -> TaskState {
        handle(|| TaskState::new(ctx.workflow_id(), self.step, &self.last, self.is_cancelled))
    }
}

async fn run(ctx: &WorkflowContext<ClaudeTask>, input: TaskInput) -> WorkflowResult<TaskResult> {
    let task = ctx.workflow_id().to_owned();
    if input.task_id() != Some(task.as_str()) {
        return Err(for_another_task(&task).into());
    }
    if ctx.patched(STEPS) {
        steps::run(ctx, &task, input).await
    } else {
        legacy::run(ctx, &task, input).await
    }
}

/// Replaces the message of a panic in `work`. Without this, the SDK would log it and send it to Temporal unencrypted.
fn without_message<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .map(|done| done.unwrap_or_else(|_| resume_unwind(Box::new(PANICKED))))
}

/// As [`without_message`], for a query, a signal or an update.
fn handle<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| resume_unwind(Box::new(PANICKED)))
}

fn until_begun() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(FIRST_PAUSE)
        .maximum_interval(LONGEST_PAUSE)
        .maximum_attempts(ATTEMPTS)
        .build()
}

/// The failure of a task whose request names another task. An attacker can copy an encrypted request from one history into
/// another start, and the copy must not run.
fn for_another_task(task: &str) -> ApplicationFailure {
    failures::of_task(
        FailureKind::InvalidRequest.as_str(),
        FOR_ANOTHER_TASK.to_owned(),
        TaskResult::new(task, None, None),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(secret: &str) {
        assert_eq!(secret, "another secret", "{secret}");
    }

    #[tokio::test]
    async fn the_sdk_gets_no_message_of_a_panic() {
        let work = without_message(async { fail("sk-ant-secret") });
        let panic = AssertUnwindSafe(work).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&PANICKED));
        assert_eq!(without_message(async { 7 }).await, 7);

        let work = || handle(|| fail("sk-ant-secret"));
        let panic = catch_unwind(work).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&PANICKED));
        assert_eq!(handle(|| 7), 7);
    }
}
