//! The workers of the SDK: what each polls for, and how much runs at the same time.

use std::sync::Arc;

use temporal_kms_codec::WorkerGuard;
use temporalio_client::Client;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions, WorkerRunError,
    runtime::{
        PollerBehavior, RuntimeOptions,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
    },
};

use super::{
    super::{
        activities::ClaudeActivities,
        runner::TaskRunner,
        search_attributes,
        settings::WorkerSettings,
        steps::{self, DeliveryActivities, HeldTasks, HostActivities, PrepareActivities},
        workflow::{ClaudeTask, ClaudeTaskWebhook},
    },
    HEARTBEAT_INTERVAL, WorkerError,
};
use crate::client::{TaskClient, error_chain};

/// How many workflow tasks run at the same time. They take little time and no process.
const WORKFLOW_SLOTS: usize = 100;
/// How many deliveries run at the same time.
const DELIVERY_SLOTS: usize = 50;

/// The workers of the SDK in this process: one for each task queue and kind of work.
pub(super) struct Workers {
    /// Takes tasks from the common queue, as many as there are places.
    pub(super) places: Worker,
    /// Runs workflows.
    workflows: Worker,
    /// Runs the steps after the first one, which only this process can run.
    own: Worker,
    /// Runs what does not need a place.
    deliveries: Worker,
}

impl Workers {
    pub(super) async fn new(
        settings: &WorkerSettings,
        tasks: &TaskClient,
        runner: Arc<TaskRunner>,
        identity: &str,
    ) -> Result<Self, WorkerError> {
        let failed = |e: &dyn std::error::Error| WorkerError::Worker(error_chain(e));
        let guarded = WorkerGuard::new()
            .workflow(ClaudeTask::run)
            .query(ClaudeTask::run, ClaudeTask::state)
            .query(ClaudeTask::run, ClaudeTask::last_progress)
            .workflow(ClaudeTaskWebhook::run)
            .client(tasks.temporal().clone())
            .await
            .map_err(|e| failed(&e))?;
        let runtime =
            Runtime::from_current_tokio(RuntimeOptions::default()).map_err(|e| failed(&e))?;
        let queue = tasks.task_queue();
        let own_queue = steps::own_queue(queue, identity);
        let held = Arc::new(HeldTasks::default());
        let places = WorkerOptions::new(queue)
            .register_activities(PrepareActivities {
                runner: Arc::clone(&runner),
                held: Arc::clone(&held),
                own_queue: own_queue.clone(),
                search_attributes: search_attributes::exist(tasks.temporal()).await,
            })
            .register_activities(ClaudeActivities {
                runner: Arc::clone(&runner),
            })
            .tuner(activity_slots(settings.max_tasks.into()))
            .max_heartbeat_throttle_interval(HEARTBEAT_INTERVAL / 2)
            .build();
        let workflows = WorkerOptions::new(queue)
            .register_workflow::<ClaudeTask>()
            .map_err(|e| failed(&e))?
            .register_workflow::<ClaudeTaskWebhook>()
            .map_err(|e| failed(&e))?
            .tuner(workflow_slots())
            .build();
        let deliveries = DeliveryActivities {
            runner: Arc::clone(&runner),
            webhook_age: settings.webhook_age,
        };
        let own = WorkerOptions::new(own_queue)
            .register_activities(HostActivities { runner, held })
            // One for the session of each place, and one for the step after it.
            .tuner(activity_slots(2 * usize::from(settings.max_tasks)))
            .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(2))
            .max_heartbeat_throttle_interval(HEARTBEAT_INTERVAL / 2)
            .build();
        let deliveries = WorkerOptions::new(steps::delivery_queue(queue))
            .register_activities(deliveries)
            .tuner(activity_slots(DELIVERY_SLOTS))
            .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(2))
            .build();
        let worker = |client: &Client, options| {
            Worker::new(&runtime, client.clone(), options).map_err(|e| failed(&e))
        };
        Ok(Self {
            places: worker(tasks.temporal(), places)?,
            workflows: worker(&guarded, workflows)?,
            own: worker(tasks.temporal(), own)?,
            deliveries: worker(tasks.temporal(), deliveries)?,
        })
    }

    /// Runs until the worker takes no more tasks and the last one has left.
    ///
    /// # Errors
    /// When Temporal refuses a worker.
    pub(super) async fn run(&mut self) -> Result<(), WorkerRunError> {
        let stop = [
            self.workflows.shutdown_handle(),
            self.own.shutdown_handle(),
            self.deliveries.shutdown_handle(),
        ];
        let places = async {
            let ran = self.places.run().await;
            for stop in &stop {
                stop();
            }
            ran
        };
        tokio::try_join!(
            places,
            self.workflows.run(),
            self.own.run(),
            self.deliveries.run()
        )
        .map(drop)
    }
}

fn workflow_slots() -> TunerHolder {
    slots(WORKFLOW_SLOTS, 1)
}

fn activity_slots(activities: usize) -> TunerHolder {
    slots(2, activities)
}

fn slots(workflow_tasks: usize, activities: usize) -> TunerHolder {
    TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(workflow_tasks))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(activities))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
}
