//! The steps on the worker that prepared the task.

use std::sync::Arc;

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tracing::Instrument as _;

use super::{
    held::{HeldTask, HeldTasks, Run},
    prepare::{Beating, StopOnCancel},
};
use crate::{
    task::{ActionsReport, FailureKind, SessionOutcome, StepInput},
    worker::{
        activities::refuse_if_begun,
        failures::{self, FOR_ANOTHER_TASK},
        runner::TaskRunner,
    },
};

/// The message when the task is not held here.
const NOT_HERE: &str = "this worker does not hold the task. The worker has cleaned it up";

/// The activities of the task queue of this process alone.
#[derive(Debug)]
pub(crate) struct HostActivities {
    pub(in crate::worker) runner: Arc<TaskRunner>,
    pub(in crate::worker) held: Arc<HeldTasks>,
}

#[activities]
impl HostActivities {
    /// Runs Claude Code. Temporal repeats the activity only if the session did not begin.
    #[activity(name = "run_session")]
    pub(crate) async fn run_session(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: StepInput,
    ) -> Result<SessionOutcome, ActivityError> {
        let run = Run::of(&ctx);
        refuse_if_begun(&ctx, &run.workflow)?;
        let held = self.held(&run, &input)?;
        let span = tracing::info_span!("run_session", task = run.workflow);
        let ran = held
            .step(async |prepared| self.runner.run(&ctx, prepared).await)
            .instrument(span)
            .await;
        let ran = ran.unwrap_or_else(|| Err(refused(&run, NOT_HERE)));
        match &ran {
            Ok(outcome) => held.session_ended(!outcome.is_error() && held.has_actions().await),
            Err(ActivityError::Application(failure)) if !failure.is_non_retryable() => {}
            Err(_) => held.session_ended(false),
        }
        ran
    }

    /// Does what the request asks for after a successful session.
    #[activity(name = "post_execution")]
    pub(crate) async fn post_execution(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: StepInput,
    ) -> Result<ActionsReport, ActivityError> {
        let run = Run::of(&ctx);
        let held = self.held(&run, &input)?;
        let _heartbeats = Beating::start(&ctx);
        let stop = StopOnCancel::new(&ctx, &self.runner.ending);
        let done = held
            .step(async |prepared| self.runner.act(prepared, stop.token()).await)
            .await;
        if ctx.is_cancelled() {
            return Err(ActivityError::Cancelled { details: None });
        }
        done.ok_or_else(|| refused(&run, NOT_HERE))
    }

    /// Removes the workspace, and gives the task's place free.
    #[activity(name = "clean_up")]
    pub(crate) async fn clean_up(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: StepInput,
    ) -> Result<(), ActivityError> {
        let run = Run::of(&ctx);
        if let Ok(held) = self.held(&run, &input) {
            let _heartbeats = Beating::start(&ctx);
            held.clean_up().await;
        }
        Ok(())
    }
}

impl HostActivities {
    fn held(&self, run: &Run, input: &StepInput) -> Result<Arc<HeldTask>, ActivityError> {
        if input.task_id != run.workflow {
            return Err(refused(run, FOR_ANOTHER_TASK));
        }
        self.held.get(run).ok_or_else(|| refused(run, NOT_HERE))
    }
}

fn refused(run: &Run, problem: &str) -> ActivityError {
    let kind = FailureKind::CannotRun;
    failures::of_session(&run.workflow, kind, problem.to_owned(), None).into()
}
