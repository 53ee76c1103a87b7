//! `claude-tasks worker`: polls Temporal and runs tasks until it is told to end.

use crate::{
    activities::ClaudeActivities,
    claude::{Caps, ClaudeConfig, ConfigError, OutputLimits},
    connect::{ConnectError, ConnectionArgs, chain, connect},
    deadline::later,
    log_store, print,
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
use temporal_kms_codec::{WorkerGuard, endpoint};
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
    task::spawn_blocking,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use url::Url;

const WORKFLOW_SLOTS: usize = 100;
const RETENTION_PAUSE: Duration = Duration::from_hours(1);
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
    /// The API that Claude Code talks to, where it is not Anthropic's. It gets every caller's credential: https://, or
    /// http:// on this machine.
    #[arg(long, env = "ANTHROPIC_BASE_URL", value_name = "URL", value_parser = base_url)]
    pub anthropic_base_url: Option<Url>,
    /// How often Claude Code repeats a failed API call. Each try waits longer than the one before: ten of them take three
    /// minutes, even with a wrong key.
    #[arg(
        long,
        env = "CLAUDE_TASKS_API_RETRIES",
        default_value_t = 2,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100)
    )]
    pub api_retries: u32,
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
    /// A tool denied to every task, whatever its caller asks for; may be given several times.
    #[arg(
        long = "deny-tool",
        env = "CLAUDE_TASKS_DENY_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub denied_tools: Vec<String>,
    /// The most permissive permission mode of a task. A task that asks for more runs with this one, and its result says so.
    #[arg(long, env = "CLAUDE_TASKS_MAX_PERMISSION_MODE", value_name = "MODE")]
    pub max_permission_mode: Option<PermissionMode>,
    /// The longest time of a task, such as 2h. A task that asks for more gets this much, and its result says so.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_TIMEOUT",
        value_name = "TIME",
        value_parser = units::time
    )]
    pub max_timeout: Option<Duration>,
    /// The most turns of a task. A task that asks for more gets this many, and its result says so.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TURNS_LIMIT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_turns_limit: Option<u32>,
    /// A variable of the worker that tasks get, too (`HTTPS_PROXY`, …); may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_PASS_ENV",
        value_delimiter = ',',
        value_name = "NAME",
        value_parser = variable_name
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
    /// How long Claude Code may stay after its result, such as 30s. It stays while a command that it started in the
    /// background runs, and takes another turn when that ends. Then the task ends with the result that it has.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LINGER_TIME",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    pub linger_time: Duration,
    /// How many days logs of tasks are kept; 0 keeps them for good.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LOG_RETENTION_DAYS",
        default_value_t = 30,
        value_name = "DAYS"
    )]
    pub log_retention_days: u32,
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
    activities.claude.check().await?;
    let guarded = WorkerGuard::new()
        .workflow(ClaudeTask::run)
        .client(client.clone())
        .await
        .map_err(|e| WorkerError::Worker(chain(&e)))?;
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
    let mut worker = Worker::new(&runtime, guarded, options).map_err(|e| failed(&e))?;
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
            () = sleep_until(later(drain)) => {}
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
    let workdir = args.workdir.clone();
    let retention = async {
        if args.log_retention_days == 0 {
            return std::future::pending::<Result<(), WorkerError>>().await;
        }
        let retention = Duration::from_hours(24 * u64::from(args.log_retention_days));
        loop {
            expire_logs(workdir.clone(), retention).await;
            sleep(RETENTION_PAUSE).await;
        }
    };
    tokio::select! {
        failed = retention => failed,
        ran = worker.run() => ran.map_err(|e| failed(&e)),
        failed = ended => failed,
        failed = ready => failed,
    }
}

/// The API gets credentials: its address is refused where they would travel in the clear.
fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "not a URL".to_owned())?;
    let origin = url.origin();
    if !origin.is_tuple() {
        return Err("its form is https://HOST or https://HOST:PORT/PATH".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user name or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not have a query or a fragment".to_owned());
    }
    endpoint::check(&origin.ascii_serialization())?;
    Ok(url)
}

/// Requests count in minutes, and the shortest task has one.
fn whole_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 60)
        .unwrap_or(u32::MAX)
        .max(1)
}

fn variable_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("it must be a variable's name, without its value".to_owned());
    }
    Ok(name.to_owned())
}

fn activities(
    args: &WorkerArgs,
    ending: CancellationToken,
) -> Result<ClaudeActivities, WorkerError> {
    let mut claude = ClaudeConfig::find(&args.claude)?;
    claude.base_url.clone_from(&args.anthropic_base_url);
    claude.pass_env.clone_from(&args.pass_env);
    claude.api_retries = Some(args.api_retries);
    claude.permission_mode = args.permission_mode;
    claude.allowed_tools.clone_from(&args.allowed_tools);
    claude.disallowed_tools.clone_from(&args.disallowed_tools);
    claude.caps = Caps {
        denied_tools: args.denied_tools.clone(),
        permission_mode: args.max_permission_mode,
        minutes: args.max_timeout.map(whole_minutes),
        turns: args.max_turns_limit,
    };
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
        linger: args.linger_time,
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
            "its name is not UTF-8 text",
        ));
    }
    let removed = workspace::sweep(&workdir)?;
    if removed > 0 {
        tracing::warn!(removed, "removed workspaces that a lost worker had left");
    }
    Ok(workdir)
}

async fn expire_logs(workdir: PathBuf, age: Duration) {
    let expired = spawn_blocking(move || log_store::expire(&workdir, age)).await;
    match expired.map_err(io::Error::other).flatten() {
        Ok(0) => {}
        Ok(removed) => tracing::info!(
            removed,
            "removed logs that are older than --log-retention-days"
        ),
        Err(error) => tracing::warn!(%error, "old logs cannot be removed"),
    }
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
