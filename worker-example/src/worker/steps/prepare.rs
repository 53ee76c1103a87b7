//! The first step: a worker with a free place prepares a task, and holds the place until the task has left.

use std::{sync::Arc, time::Duration};

use temporalio_client::{ActivityIdentifier, Client, RpcOptions, errors::AsyncActivityError};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::held::{HeldTasks, Run};
use crate::{
    client::error_chain,
    task::{FailureKind, Prepared, TaskInput},
    worker::{failures, runner::TaskRunner},
};

/// How often a step that has no events sends a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long Temporal may take to store that a task is prepared, and how often this is tried.
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(10);
const COMPLETE_ATTEMPTS: u32 = 5;

/// The activity that prepares tasks.
#[derive(Debug)]
pub(crate) struct PrepareActivities {
    pub(in crate::worker) runner: Arc<TaskRunner>,
    pub(in crate::worker) held: Arc<HeldTasks>,
    /// The task queue of this process alone.
    pub(in crate::worker) own_queue: String,
    /// Whether the namespace has the search attributes of tasks.
    pub(in crate::worker) search_attributes: bool,
}

#[activities]
impl PrepareActivities {
    /// Prepares a task. The activity is completed by a call to Temporal as soon as the task is prepared, and this function
    /// continues until the task has left the worker: so the task keeps its place.
    #[activity(name = "prepare_task")]
    pub(crate) async fn prepare_task(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: TaskInput,
    ) -> Result<Prepared, ActivityError> {
        let run = Run::of(&ctx);
        let task = run.workflow.clone();
        if self.runner.ending.is_cancelled() {
            let problem = "the task has not begun: the worker is shutting down".to_owned();
            let kind = FailureKind::WorkerShutdown;
            return Err(failures::of_attempt(&task, kind, problem).into());
        }
        let heartbeats = Beating::start(&ctx);
        let stop = StopOnCancel::new(&ctx, &self.runner.ending);
        let callback = input.callback_url().map(str::to_owned);
        let prepared = self.runner.prepare(&task, input, stop.token()).await;
        if ctx.is_cancelled() {
            if let Ok(prepared) = prepared {
                prepared.remove().await;
            }
            return Err(ActivityError::Cancelled { details: None });
        }
        let prepared = prepared?;
        let held = self.held.insert(run.clone(), prepared);
        let report = Prepared {
            task_id: task.clone(),
            task_queue: self.own_queue.clone(),
            search_attributes: self.search_attributes,
            store: self.runner.vault.is_some(),
            approval: self.runner.approval(&task, callback.as_deref()),
        };
        drop(heartbeats);
        let client = ctx.client();
        if let Err(error) = complete(&client, &ctx, report).await {
            held.clean_up().await;
            self.held.forget(&run);
            let problem = format!("the task has not begun: {}", error_chain(&error));
            return Err(failures::of_attempt(&task, FailureKind::CannotRun, problem).into());
        }
        self.held
            .until_left(&run, &held, &client, &self.runner.ending)
            .await;
        Err(ActivityError::WillCompleteAsync)
    }
}

/// Tells Temporal that the task is prepared.
///
/// # Errors
/// When Temporal does not wait for this attempt any more. If Temporal does not answer, the task counts as prepared: the worker
/// removes it when Temporal says that its workflow has ended.
async fn complete(
    client: &Client,
    ctx: &ActivityContext,
    report: Prepared,
) -> Result<(), AsyncActivityError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let token = ActivityIdentifier::TaskToken(ctx.info().task_token.clone().into());
        let options = RpcOptions::builder().timeout(COMPLETE_TIMEOUT).build();
        let answer = client
            .get_async_activity_handle(token)
            .complete(Some(report.clone()), options)
            .await;
        match answer {
            Ok(()) => return Ok(()),
            // An earlier call may have been stored without an answer.
            Err(AsyncActivityError::NotFound(_)) if attempt > 1 => return Ok(()),
            Err(AsyncActivityError::Rpc(_)) if attempt < COMPLETE_ATTEMPTS => {
                sleep(Duration::from_secs(1)).await;
            }
            Err(AsyncActivityError::Rpc(error)) => {
                tracing::warn!(%error, "Temporal did not answer that the task is prepared");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sends heartbeats until it is dropped. They keep the step alive, and bring its cancellation.
pub(super) struct Beating(JoinHandle<()>);

impl Beating {
    pub(super) fn start(ctx: &ActivityContext) -> Self {
        let ctx = ctx.clone();
        Self(tokio::spawn(async move {
            loop {
                if let Err(error) = ctx.record_heartbeat(()).await {
                    tracing::warn!(%error, "cannot encode a heartbeat");
                }
                sleep(HEARTBEAT).await;
            }
        }))
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A token that is cancelled when the activity is cancelled or the worker ends.
pub(super) struct StopOnCancel {
    token: CancellationToken,
    waiting: JoinHandle<()>,
}

impl StopOnCancel {
    pub(super) fn new(ctx: &ActivityContext, ending: &CancellationToken) -> Self {
        let token = ending.child_token();
        let (ctx, cancelled) = (ctx.clone(), token.clone());
        let waiting = tokio::spawn(async move {
            ctx.cancelled().await;
            cancelled.cancel();
        });
        Self { token, waiting }
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for StopOnCancel {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}
