//! `claude-tasks worker`: polls Temporal and runs tasks until it is told to end.

use crate::{
    activities::ClaudeActivities,
    claude::{ClaudeConfig, ConfigError, OutputLimits},
    connect::{ConnectError, ConnectionArgs, chain, connect},
    print,
    process::Launcher,
    queue,
    request::PermissionMode,
    units,
    workflow::ClaudeTask,
    workspace,
};
use bytesize::ByteSize;
use clap::Args;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
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
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use url::Url;

const WORKFLOW_SLOTS: usize = 100;
const READY_PAUSE: Duration = Duration::from_millis(50);

/// Options of the worker.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Where Temporal is.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Claude Code: a name on the PATH, or a path.
    #[arg(
        long,
        env = "CLAUDE_TASKS_CLAUDE",
        default_value = "claude",
        value_name = "PATH"
    )]
    pub claude: PathBuf,
    /// Where workspaces are made and logs kept (sessions/TASK/…); only the worker's user may read it.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WORKDIR",
        default_value = "claude-tasks-data",
        value_name = "DIR"
    )]
    pub workdir: PathBuf,
    /// How many tasks may run at once.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TASKS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_tasks: u16,
    /// The API that Claude Code talks to, where it is not Anthropic's.
    #[arg(long, env = "ANTHROPIC_BASE_URL", value_name = "URL")]
    pub anthropic_base_url: Option<Url>,
    /// How often Claude Code repeats a failed API call.
    #[arg(long, env = "CLAUDE_TASKS_API_RETRIES", value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    pub api_retries: Option<u32>,
    /// Permission mode of tasks that name none.
    #[arg(long, env = "CLAUDE_TASKS_PERMISSION_MODE")]
    pub permission_mode: Option<PermissionMode>,
    /// Tools allowed to tasks that name none; may be given several times.
    #[arg(
        long = "allowed-tool",
        env = "CLAUDE_TASKS_ALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub allowed_tools: Vec<String>,
    /// Tools denied to tasks that name none; may be given several times.
    #[arg(
        long = "disallowed-tool",
        env = "CLAUDE_TASKS_DISALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub disallowed_tools: Vec<String>,
    /// A variable of the worker that tasks get, too (`HTTPS_PROXY`, …); may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_PASS_ENV",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub pass_env: Vec<String>,
    /// How much a task may print, such as 512MiB; a task that prints more is stopped and fails.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_OUTPUT",
        default_value = "512MiB",
        value_name = "SIZE",
        value_parser = units::size
    )]
    pub max_output: ByteSize,
    /// How many events (lines) a task may print.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_EVENTS",
        default_value_t = 200_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    pub max_events: u64,
    /// How long running tasks may go on after SIGTERM or Ctrl-C, such as 20s. Then they are stopped
    /// and fail; a second signal stops them at once.
    #[arg(
        long,
        env = "CLAUDE_TASKS_DRAIN_TIME",
        default_value = "15s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    pub drain_time: Duration,
    /// How long a stopped task may take to clean up before it is killed, such as 10s.
    #[arg(
        long,
        env = "CLAUDE_TASKS_GRACE_TIME",
        default_value = "10s",
        value_name = "TIME",
        value_parser = units::time
    )]
    pub grace_time: Duration,
}

/// The worker cannot start, or not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum WorkerError {
    /// No Claude Code.
    #[error(transparent)]
    Claude(#[from] ConfigError),
    /// No Temporal, or no key.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The folder cannot be used.
    #[error("the folder {path} cannot be used: {source}; choose another with --workdir")]
    Workdir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Signals cannot be handled.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] io::Error),
    /// The SDK's worker failed.
    #[error("the Temporal worker failed: {0}")]
    Worker(String),
}

/// Runs a worker until SIGTERM or Ctrl-C. Prints one line on standard output when it polls.
///
/// # Errors
/// When it cannot start, or Temporal refuses it.
pub(crate) async fn run(args: WorkerArgs) -> Result<(), WorkerError> {
    let ending = CancellationToken::new();
    let activities = activities(&args, ending.clone())?;
    let identity = format!("claude-tasks-{}", uuid::Uuid::new_v4().as_simple());
    let client = connect(&args.connection, identity.clone()).await?;
    let failed = |e: &dyn std::error::Error| WorkerError::Worker(chain(e));
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).map_err(|e| failed(&e))?;
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_SLOTS))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(args.max_tasks.into()))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build();
    let interval = activities.interval;
    let options = WorkerOptions::new(args.connection.task_queue.clone())
        .register_workflow::<ClaudeTask>()
        .map_err(|e| failed(&e))?
        .register_activities(activities)
        .tuner(tuner)
        .max_heartbeat_throttle_interval(interval / 2)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options).map_err(|e| failed(&e))?;
    let shutdown = worker.shutdown_handle();
    let drain = args.drain_time;
    let ended = async {
        until_signal().await?;
        tracing::info!(
            seconds = drain.as_secs(),
            "draining: no new tasks, running ones may end"
        );
        shutdown();
        tokio::select! {
            () = sleep(drain) => {}
            again = until_signal() => again?,
        }
        tracing::info!("stopping the tasks that still run");
        ending.cancel();
        std::future::pending::<Result<(), WorkerError>>().await
    };
    let ready = async {
        until_polled(&client, &args.connection.task_queue, &identity).await;
        print::line(&format!(
            "worker ready: task queue {}",
            args.connection.task_queue
        ));
        std::future::pending::<Result<(), WorkerError>>().await
    };
    tokio::select! {
        ran = worker.run() => ran.map_err(|e| failed(&e)),
        failed = ended => failed,
        failed = ready => failed,
    }
}

fn activities(
    args: &WorkerArgs,
    ending: CancellationToken,
) -> Result<ClaudeActivities, WorkerError> {
    let mut claude = ClaudeConfig::find(&args.claude)?;
    claude.base_url.clone_from(&args.anthropic_base_url);
    claude.pass_env.clone_from(&args.pass_env);
    claude.api_retries = args.api_retries;
    claude.permission_mode = args.permission_mode;
    claude.allowed_tools.clone_from(&args.allowed_tools);
    claude.disallowed_tools.clone_from(&args.disallowed_tools);
    let workdir = prepare(&args.workdir).map_err(|source| WorkerError::Workdir {
        path: args.workdir.clone(),
        source,
    })?;
    Ok(ClaudeActivities {
        claude,
        launcher: Launcher::this_program(),
        workdir,
        limits: OutputLimits {
            lines: args.max_events,
            bytes: args.max_output.as_u64(),
            ..OutputLimits::default()
        },
        grace: args.grace_time,
        interval: Duration::from_secs(1),
        ending,
    })
}

/// Makes the folder, and removes what a worker left there that was killed.
fn prepare(workdir: &Path) -> io::Result<PathBuf> {
    workspace::private_folder(workdir)?;
    let workdir = workdir.canonicalize()?;
    // Its paths become values of environment variables.
    if workdir.to_str().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "its name is no UTF-8 text",
        ));
    }
    let removed = workspace::sweep(&workdir)?;
    if removed > 0 {
        tracing::warn!(removed, "removed workspaces that a lost worker had left");
    }
    Ok(workdir)
}

async fn until_signal() -> Result<(), WorkerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(WorkerError::Signals)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(WorkerError::Signals),
        _ = terminate.recv() => Ok(()),
    }
}

/// Waits until Temporal has seen this worker poll for workflows and for activities.
async fn until_polled(client: &Client, task_queue: &str, identity: &str) {
    for kind in [TaskQueueType::Workflow, TaskQueueType::Activity] {
        // An error is not an answer yet: the worker itself fails where it lasts.
        while !matches!(
            queue::is_polled_by(client, task_queue, kind, identity).await,
            Ok(true)
        ) {
            sleep(READY_PAUSE).await;
        }
    }
}
