//! Runs a worker until it is told to end.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use temporal_kms_codec::WorkerGuard;
use temporal_kms_codec_service::{
    deadline::later,
    lifecycle::{Condition, KEYS, Phase, Readiness, StopSignals},
    open_files,
};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions, WorkerRunError,
    runtime::{
        PollerBehavior, RuntimeOptions,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
    },
};
use thiserror::Error;
use tokio::{
    task::spawn_blocking,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    activities::ClaudeActivities,
    claude::ConfigError,
    confinement::Confinement,
    log_store,
    runner::TaskRunner,
    search_attributes,
    settings::WorkerSettings,
    steps::{self, DeliveryActivities, HeldTasks, HostActivities, PrepareActivities},
    uploads::Uploads,
    workflow::{ClaudeTask, ClaudeTaskWebhook},
};
use crate::{
    client::{ClientError, ConnectError, MissingNamespace, TaskClient, error_chain, is_polled_by},
    proxy::{self, ClosedPlace, EgressPolicy, Upstream, UpstreamError},
    sandbox::{self, Launcher, Sandbox, SandboxError},
    signed::{RequestKeyError, RequestKeys},
    store::{self, StoreError, Vault},
};

/// The condition that Temporal gives this worker tasks.
const TEMPORAL: &str = "temporal";
/// How many workflow tasks run at the same time. They take little time and no process.
const WORKFLOW_SLOTS: usize = 100;
/// How many deliveries run at the same time.
const DELIVERY_SLOTS: usize = 50;
/// How often progress is sent in a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How often old logs are looked for.
const RETENTION_PAUSE: Duration = Duration::from_hours(1);
/// How often folders of lost workers are looked for.
const LEFT_PAUSE: Duration = Duration::from_secs(30);
/// How long a folder must be unchanged before a worker that runs removes it as one of a lost worker. A worker that starts
/// removes younger ones, too.
const LEFT_AGE: Duration = Duration::from_mins(2);
/// How long a submission may take from the storing of its secrets to the start of its workflow.
const SUBMISSION: Duration = Duration::from_mins(10);
/// How often Temporal is asked whether it sees the worker's polls.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// The worker cannot start, or cannot continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum WorkerError {
    /// Claude Code cannot be used.
    #[error(transparent)]
    Claude(#[from] ConfigError),
    /// The sandbox cannot be used as the operator demands.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The API cannot be called.
    #[error(transparent)]
    Api(#[from] UpstreamError),
    /// Temporal or the key cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The namespace does not exist.
    #[error(transparent)]
    Namespace(#[from] MissingNamespace),
    /// The folder cannot be used.
    #[error("cannot use the folder {path}: {source}. Choose another one with --workdir")]
    Workdir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A public key cannot be used.
    #[error(transparent)]
    RequestKey(#[from] RequestKeyError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The SDK's worker failed.
    #[error("the Temporal worker failed: {0}")]
    Worker(String),
}

/// Runs a worker until one of the signals that `listen` catches. Calls `on_ready` when Temporal has seen it poll, and tells
/// `readiness`.
///
/// # Errors
/// When the worker cannot start, or Temporal refuses it.
pub(crate) async fn run(
    settings: WorkerSettings,
    readiness: &Readiness,
    listen: fn() -> io::Result<StopSignals>,
    on_ready: impl FnOnce(),
) -> Result<(), WorkerError> {
    let waits = "Temporal does not see this worker poll yet; check its address and the namespace";
    readiness.set(TEMPORAL, Condition::Unmet(waits.to_owned()));
    let ending = CancellationToken::new();
    let identity = format!("claude-tasks-{}", uuid::Uuid::new_v4().as_simple());
    let connection = settings.connection.clone().with_identity(&identity);
    let mut runner = runner(&settings, ending.clone()).await?;
    let tasks = TaskClient::connect(&connection).await?;
    // The key has sealed and opened a data key.
    readiness.set(KEYS, Condition::Met);
    runner.vault = tasks.vault().cloned();
    runner.namespace = tasks.temporal().namespace();
    let runner = Arc::new(runner);
    settings.claude.check().await?;
    let mut workers = Workers::new(&settings, &tasks, runner, &identity).await?;
    let mut signals = listen().map_err(WorkerError::Signals)?;
    let take_no_more = workers.places.shutdown_handle();
    let ended = async {
        signals.next().await;
        readiness.advance(Phase::Draining);
        tracing::info!(
            seconds = settings.drain_time.as_secs(),
            "draining: the worker takes no new tasks, and running tasks may end"
        );
        take_no_more();
        tokio::select! {
            () = sleep_until(later(settings.drain_time)) => {}
            _ = signals.next() => {}
        }
        tracing::info!("stopping the tasks that still run");
        ending.cancel();
        std::future::pending::<()>().await;
    };
    let ready = async {
        until_polled(tasks.temporal(), tasks.task_queue(), &identity).await;
        readiness.set(TEMPORAL, Condition::Met);
        readiness.advance(Phase::Ready);
        on_ready();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = expire_logs(&settings) => Ok(()),
        () = sweep_left(&settings.workdir) => Ok(()),
        () = sweep(&tasks, settings.log_retention) => Ok(()),
        ran = workers.run() => ran.map_err(|error| explain(&tasks, &error)),
        () = ended => Ok(()),
        () = ready => Ok(()),
    }
}

/// The workers of the SDK in this process: one for each task queue and kind of work.
struct Workers {
    /// Takes tasks from the common queue, as many as there are places.
    places: Worker,
    /// Runs workflows.
    workflows: Worker,
    /// Runs the steps after the first one, which only this process can run.
    own: Worker,
    /// Runs what does not need a place.
    deliveries: Worker,
}

impl Workers {
    async fn new(
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
    async fn run(&mut self) -> Result<(), WorkerRunError> {
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

fn explain(tasks: &TaskClient, error: &(dyn std::error::Error + 'static)) -> WorkerError {
    match tasks.missing_namespace(error) {
        Some(missing) => WorkerError::Namespace(missing),
        None => WorkerError::Worker(error_chain(error)),
    }
}

async fn runner(
    settings: &WorkerSettings,
    ending: CancellationToken,
) -> Result<TaskRunner, WorkerError> {
    let workdir = prepare(&settings.workdir).map_err(|source| WorkerError::Workdir {
        path: settings.workdir.clone(),
        source,
    })?;
    let sandbox = Sandbox::find(
        settings.sandbox.clone(),
        Launcher::this_program(),
        &workdir,
        settings.grace_time,
    )
    .await?;
    if sandbox.needs_egress_proxy() {
        // The connections of tasks must leave some for those of the worker. Tasks keep the limit of before.
        open_files::allow(0);
    }
    Ok(TaskRunner {
        claude: settings.claude.clone(),
        confinement: Confinement {
            sandbox,
            upstream: Upstream::new(settings.api_url.clone())?,
            api_limits: settings.api_limits.clone(),
            egress: Arc::new(egress(settings)),
        },
        workdir,
        limits: settings.limits,
        grace: settings.grace_time,
        linger: settings.linger_time,
        interval: HEARTBEAT_INTERVAL,
        ending,
        vault: None,
        request_keys: RequestKeys::read(&settings.request_keys)?,
        uploads: Uploads::new(),
        namespace: String::new(),
        webhooks: settings.webhooks.clone(),
        git: settings.git.clone(),
    })
}

/// Which servers tasks may reach: never Temporal, nor the API where it is not Anthropic's.
fn egress(settings: &WorkerSettings) -> EgressPolicy {
    let mut egress = settings.egress.clone();
    let known = [
        Some(settings.connection.server()),
        settings.api_url.as_ref(),
    ];
    let known = known.into_iter().flatten().filter_map(ClosedPlace::of_url);
    egress.closed.extend(known);
    EgressPolicy::new(egress)
}

/// Creates the folder, and removes workspaces of a worker that was killed.
fn prepare(workdir: &Path) -> io::Result<PathBuf> {
    sandbox::private_folder(workdir)?;
    let workdir = workdir.canonicalize()?;
    // Its paths become the values of environment variables.
    if workdir.to_str().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "its name is not UTF-8 text",
        ));
    }
    proxy::sweep(&workdir, Duration::ZERO)?;
    proxy::check(&workdir)?;
    let removed = sandbox::sweep(&workdir, Duration::ZERO)?;
    if removed > 0 {
        tracing::warn!(removed, "removed workspaces of a lost worker");
    }
    Ok(workdir)
}

/// Removes old logs every hour, for ever.
async fn expire_logs(settings: &WorkerSettings) {
    let Some(age) = settings.log_retention else {
        return std::future::pending().await;
    };
    loop {
        let workdir = settings.workdir.clone();
        let expired = spawn_blocking(move || log_store::expire(&workdir, age)).await;
        match expired.map_err(io::Error::from).flatten() {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "removed logs that are older than --log-retention");
            }
            Err(error) => tracing::warn!(%error, "cannot remove old logs"),
        }
        sleep(RETENTION_PAUSE).await;
    }
}

/// Removes what lost workers left, for ever. A supervisor can hold the folder of its task longer than the next worker needs to
/// start.
async fn sweep_left(workdir: &Path) {
    loop {
        sleep(LEFT_PAUSE).await;
        let workdir = workdir.to_owned();
        let swept = spawn_blocking(move || {
            proxy::sweep(&workdir, LEFT_AGE)?;
            sandbox::sweep(&workdir, LEFT_AGE)
        });
        match swept.await.map_err(io::Error::from).flatten() {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(removed, "removed workspaces of a lost worker"),
            Err(error) => tracing::warn!(%error, "cannot remove workspaces of a lost worker"),
        }
    }
}

/// Removes from the store what is not needed any more, for ever.
async fn sweep(tasks: &TaskClient, age: Option<Duration>) {
    let Some(vault) = tasks.vault() else {
        return std::future::pending().await;
    };
    loop {
        if let Err(error) = sweep_once(tasks, vault, age).await {
            tracing::warn!(%error, "cannot remove old objects from the store");
        }
        sleep(RETENTION_PAUSE).await;
    }
}

async fn sweep_once(
    tasks: &TaskClient,
    vault: &Vault,
    age: Option<Duration>,
) -> Result<(), StoreError> {
    for task in store::unneeded_secrets(vault.objects(), vault.namespace(), SUBMISSION).await? {
        let status = tasks.task(&task).status().await;
        let is_needed = match status {
            Ok(status) => status.is_open(),
            Err(ClientError::NotFound(_)) => false,
            // Without an answer, the next sweep decides.
            Err(_) => true,
        };
        if !is_needed {
            tracing::warn!(task = %task, "removing the secrets of a task that has ended");
            vault.delete_secrets(&task).await?;
        }
    }
    if let Some(age) = age {
        let removed = store::expire_sessions(vault.objects(), age).await?;
        if removed > 0 {
            tracing::info!(removed, "removed logs that are older than --log-retention");
        }
    }
    Ok(())
}

/// Waits until Temporal has seen this worker poll for workflows and for activities.
async fn until_polled(client: &Client, task_queue: &str, identity: &str) {
    for kind in [TaskQueueType::Workflow, TaskQueueType::Activity] {
        // A failed call is repeated. If Temporal stays unreachable, the worker itself fails.
        while !matches!(
            is_polled_by(client, task_queue, kind, identity).await,
            Ok(true)
        ) {
            sleep(READY_PAUSE).await;
        }
    }
}
