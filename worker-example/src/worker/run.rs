//! Runs a worker until it is told to end.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use temporal_kms_codec::WorkerGuard;
use temporal_kms_codec_service::{
    deadline::later,
    lifecycle::{Condition, KEYS, Phase, Readiness, StopSignals},
};
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    runtime::{
        RuntimeOptions,
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
    activities::ClaudeActivities, claude::ConfigError, confinement::Confinement, log_store,
    settings::WorkerSettings, workflow::ClaudeTask,
};
use crate::{
    client::{ConnectError, MissingNamespace, TaskClient, error_chain, is_polled_by},
    proxy::{self, Upstream, UpstreamError},
    sandbox::{self, Launcher, Sandbox, SandboxError},
};

/// The condition that Temporal gives this worker tasks.
const TEMPORAL: &str = "temporal";
/// How many workflow tasks run at the same time. They take little time and no process.
const WORKFLOW_SLOTS: usize = 100;
/// How often progress is sent in a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How often old logs are looked for.
const RETENTION_PAUSE: Duration = Duration::from_hours(1);
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
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The SDK's worker failed.
    #[error("the Temporal worker failed: {0}")]
    Worker(String),
}

/// Runs a worker until SIGTERM, Ctrl-C or SIGHUP. Calls `on_ready` when Temporal has seen it poll, and tells `readiness`.
///
/// # Errors
/// When the worker cannot start, or Temporal refuses it.
pub(crate) async fn run(
    settings: WorkerSettings,
    readiness: &Readiness,
    on_ready: impl FnOnce(),
) -> Result<(), WorkerError> {
    let waits = "Temporal does not see this worker poll yet; check its address and the namespace";
    readiness.set(TEMPORAL, Condition::Unmet(waits.to_owned()));
    let ending = CancellationToken::new();
    let identity = format!("claude-tasks-{}", uuid::Uuid::new_v4().as_simple());
    let connection = settings.connection.clone().with_identity(&identity);
    let activities = activities(&settings, ending.clone()).await?;
    let tasks = TaskClient::connect(&connection).await?;
    // The key has sealed and opened a data key.
    readiness.set(KEYS, Condition::Met);
    settings.claude.check().await?;
    let mut worker = worker(&settings, &tasks, activities).await?;
    let shutdown = worker.shutdown_handle();
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    let ended = async {
        signals.next().await;
        readiness.advance(Phase::Draining);
        tracing::info!(
            seconds = settings.drain_time.as_secs(),
            "draining: the worker takes no new tasks, and running tasks may end"
        );
        shutdown();
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
        ran = worker.run() => ran.map_err(|error| explain(&tasks, &error)),
        () = ended => Ok(()),
        () = ready => Ok(()),
    }
}

async fn worker(
    settings: &WorkerSettings,
    tasks: &TaskClient,
    activities: ClaudeActivities,
) -> Result<Worker, WorkerError> {
    let failed = |e: &dyn std::error::Error| WorkerError::Worker(error_chain(e));
    let guarded = WorkerGuard::new()
        .workflow(ClaudeTask::run)
        .client(tasks.temporal().clone())
        .await
        .map_err(|e| failed(&e))?;
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).map_err(|e| failed(&e))?;
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_SLOTS))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(settings.max_tasks.into()))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build();
    let options = WorkerOptions::new(tasks.task_queue().to_owned())
        .register_workflow::<ClaudeTask>()
        .map_err(|e| failed(&e))?
        .register_activities(activities)
        .tuner(tuner)
        .max_heartbeat_throttle_interval(HEARTBEAT_INTERVAL / 2)
        .build();
    Worker::new(&runtime, guarded, options).map_err(|e| failed(&e))
}

fn explain(tasks: &TaskClient, error: &(dyn std::error::Error + 'static)) -> WorkerError {
    match tasks.missing_namespace(error) {
        Some(missing) => WorkerError::Namespace(missing),
        None => WorkerError::Worker(error_chain(error)),
    }
}

async fn activities(
    settings: &WorkerSettings,
    ending: CancellationToken,
) -> Result<ClaudeActivities, WorkerError> {
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
    Ok(ClaudeActivities {
        claude: settings.claude.clone(),
        confinement: Confinement {
            sandbox,
            upstream: Upstream::new(settings.api_url.clone())?,
            api_limits: settings.api_limits.clone(),
        },
        workdir,
        limits: settings.limits,
        grace: settings.grace_time,
        linger: settings.linger_time,
        interval: HEARTBEAT_INTERVAL,
        ending,
    })
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
    proxy::sweep(&workdir)?;
    let removed = sandbox::sweep(&workdir)?;
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
        match expired.map_err(io::Error::other).flatten() {
            Ok(0) => {}
            Ok(removed) => tracing::info!(
                removed,
                "removed logs that are older than --log-retention-days"
            ),
            Err(error) => tracing::warn!(%error, "cannot remove old logs"),
        }
        sleep(RETENTION_PAUSE).await;
    }
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
