//! Runs a worker until it is told to end.

mod upkeep;
mod workers;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use temporal_kms_codec_service::{
    deadline::later,
    lifecycle::{Condition, KEYS, Phase, Readiness, StopSignals},
    open_files,
};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::protos::temporal::api::enums::v1::TaskQueueType;
use thiserror::Error;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    upkeep::{expire_logs, sweep, sweep_left},
    workers::Workers,
};
use super::{
    claude::ConfigError, confinement::Confinement, runner::TaskRunner, settings::WorkerSettings,
    uploads::Uploads,
};
use crate::{
    client::{ConnectError, MissingNamespace, TaskClient, error_chain, is_polled_by},
    proxy::{self, ClosedPlace, EgressPolicy, Upstream, UpstreamError},
    sandbox::{self, Launcher, Sandbox, SandboxError},
    signed::{RequestKeyError, RequestKeys},
};

/// The condition that Temporal gives this worker tasks.
const TEMPORAL: &str = "temporal";
/// How often progress is sent in a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
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
