//! The tasks that this worker process has prepared and holds a place for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use temporalio_client::{
    Client, WorkflowDescribeOptions, WorkflowExecutionStatus, errors::WorkflowInteractionError,
};
use temporalio_sdk::activities::ActivityContext;
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::super::runner::PreparedTask;
use crate::task::TaskWorkflow;

/// How often Temporal is asked whether a task without a running step still exists.
const LOOK: Duration = Duration::from_secs(5);
/// How long a task is without a step before Temporal is asked.
const IDLE: Duration = Duration::from_secs(10);
/// How long Temporal may take to ask for the clean-up after a session, and for the actions before it.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(10);
const ACTIONS_WAIT: Duration = Duration::from_hours(1);
/// How long Temporal may take to schedule the clean-up when the worker ends.
const LAST_STEPS: Duration = Duration::from_secs(10);

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) workflow: String,
    run: String,
}

impl Run {
    pub(super) fn of(ctx: &ActivityContext) -> Self {
        let info = ctx.info();
        Self {
            workflow: info.workflow_id.clone().unwrap_or_default(),
            run: info.workflow_run_id.clone().unwrap_or_default(),
        }
    }
}

/// A task that this process has prepared. One step at a time uses it.
#[derive(Debug)]
pub(super) struct HeldTask {
    prepared: AsyncMutex<Option<PreparedTask>>,
    last_step: Mutex<Instant>,
    /// How long after its last step the task is cleaned up without being asked to. `None` before its session has ended.
    patience: Mutex<Option<Duration>>,
    left: CancellationToken,
}

impl HeldTask {
    /// Notes that the session has ended. If Temporal does not ask for the clean-up, for example because the key service
    /// refuses and no message can be encrypted, the worker cleans up by itself. A session with actions after it waits longer.
    pub(super) fn session_ended(&self, has_actions: bool) {
        *self.patience.lock() = Some(if has_actions {
            ACTIONS_WAIT
        } else {
            CLEAN_UP_WAIT
        });
    }

    /// Whether the request asks for actions after a successful session.
    pub(super) async fn has_actions(&self) -> bool {
        let prepared = self.prepared.lock().await;
        prepared.as_ref().is_some_and(PreparedTask::has_actions)
    }

    /// Runs a step. `None` if the task was cleaned up.
    pub(super) async fn step<T>(
        &self,
        step: impl AsyncFnOnce(&mut PreparedTask) -> T,
    ) -> Option<T> {
        let mut prepared = self.prepared.lock().await;
        let done = match prepared.as_mut() {
            Some(prepared) => Some(step(prepared).await),
            None => None,
        };
        *self.last_step.lock() = Instant::now();
        done
    }

    /// Removes the workspace, and gives the place free.
    pub(super) async fn clean_up(&self) {
        let prepared = self.prepared.lock().await.take();
        if let Some(prepared) = prepared {
            prepared.remove().await;
        }
        self.left.cancel();
    }

    fn is_idle(&self) -> bool {
        self.is_idle_for(IDLE)
    }

    fn is_overdue(&self) -> bool {
        let patience = *self.patience.lock();
        patience.is_some_and(|patience| self.is_idle_for(patience))
    }

    fn is_idle_for(&self, time: Duration) -> bool {
        self.prepared.try_lock().is_ok() && self.last_step.lock().elapsed() > time
    }
}

/// The tasks that this worker process has prepared.
#[derive(Debug, Default)]
pub(in crate::worker) struct HeldTasks(Mutex<HashMap<Run, Arc<HeldTask>>>);

impl HeldTasks {
    pub(super) fn insert(&self, run: Run, prepared: PreparedTask) -> Arc<HeldTask> {
        let held = Arc::new(HeldTask {
            prepared: AsyncMutex::new(Some(prepared)),
            last_step: Mutex::new(Instant::now()),
            patience: Mutex::new(None),
            left: CancellationToken::new(),
        });
        self.0.lock().insert(run, Arc::clone(&held));
        held
    }

    pub(super) fn get(&self, run: &Run) -> Option<Arc<HeldTask>> {
        self.0.lock().get(run).cloned()
    }

    pub(super) fn forget(&self, run: &Run) {
        self.0.lock().remove(run);
    }

    /// Waits until the task has left this worker. A task whose workflow no longer exists is cleaned up here, and so is every
    /// task when the worker ends.
    pub(super) async fn until_left(
        &self,
        run: &Run,
        held: &HeldTask,
        client: &Client,
        ending: &CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = held.left.cancelled() => break,
                () = ending.cancelled() => {
                    // The running step ends now. Its workflow then schedules the clean-up.
                    drop(held.prepared.lock().await);
                    let _ = timeout(LAST_STEPS, held.left.cancelled()).await;
                    held.clean_up().await;
                    break;
                }
                () = sleep(LOOK) => {
                    if held.is_overdue() {
                        tracing::warn!(task = run.workflow, "Temporal does not ask for the clean-up; cleaning up");
                        held.clean_up().await;
                        break;
                    }
                    if held.is_idle() && has_ended(client, run).await {
                        tracing::warn!(task = run.workflow, "a task was ended from outside; cleaning up");
                        held.clean_up().await;
                        break;
                    }
                }
            }
        }
        self.forget(run);
    }
}

/// Whether the run of the workflow has ended. `false` if Temporal does not answer.
async fn has_ended(client: &Client, run: &Run) -> bool {
    let workflow = client.get_workflow_handle::<TaskWorkflow>(run.workflow.clone());
    match workflow.describe(WorkflowDescribeOptions::default()).await {
        Ok(description) => {
            let is_open = matches!(
                description.status(),
                WorkflowExecutionStatus::Running | WorkflowExecutionStatus::Paused
            );
            !is_open
                || description
                    .raw()
                    .workflow_execution_info
                    .as_ref()
                    .is_none_or(|info| {
                        info.execution
                            .as_ref()
                            .is_some_and(|execution| execution.run_id != run.run)
                    })
        }
        Err(WorkflowInteractionError::NotFound(_)) => true,
        Err(_) => false,
    }
}
