//! The activity of tasks that an earlier version began: it prepares the workspace, runs Claude Code, and cleans up.

use std::sync::Arc;

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tracing::Instrument as _;

use super::{
    failures,
    runner::{PreparedTask, TaskRunner},
};
use crate::task::{Progress, SessionOutcome, TaskInput};

/// The activity of tasks that an earlier version began.
#[derive(Debug)]
pub struct ClaudeActivities {
    /// What does the work.
    pub(crate) runner: Arc<TaskRunner>,
}

#[activities]
impl ClaudeActivities {
    /// Runs Claude Code for a request, in a workspace that is removed afterwards.
    ///
    /// # Errors
    /// An application failure whose type is a [`FailureKind`](crate::FailureKind), or the cancellation, with the session's
    /// outcome if Claude Code ran. Temporal repeats the activity only if the session did not begin.
    #[activity(name = "run_claude")]
    pub async fn run_claude(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: TaskInput,
    ) -> Result<SessionOutcome, ActivityError> {
        let id = ctx.info().workflow_id.clone().unwrap_or_default();
        refuse_if_begun(&ctx, &id)?;
        let mut prepared = self.runner.prepare(&id, input, &self.runner.ending).await?;
        let span = tracing::info_span!("run_claude", task = %prepared.task);
        let ran = self.runner.run(&ctx, &mut prepared).instrument(span).await;
        PreparedTask::remove(prepared).await;
        ran
    }
}

/// An earlier attempt sends a heartbeat when its session begins. Even one that cannot be read shows that it began.
///
/// # Errors
/// When an earlier attempt has begun the session.
pub(super) fn refuse_if_begun(ctx: &ActivityContext, task: &str) -> Result<(), ActivityError> {
    if ctx.heartbeat_details().raw().is_empty() {
        return Ok(());
    }
    let last: Option<Progress> = ctx.heartbeat_details().deserialize().ok().flatten();
    let last = last.filter(|last| last.is_of(task));
    Err(failures::of_lost_session(task, last).into())
}
