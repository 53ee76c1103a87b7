//! `claude-tasks worker`: runs tasks until SIGTERM or Ctrl-C.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use temporal_kms_codec_service::{
    arguments::variable,
    lifecycle::StopSignals,
    log::EarlyLog,
    telemetry::{Program, Telemetry, TelemetryConfig},
};

use super::{
    claude::ClaudeArgs,
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    limits::LimitArgs,
    log_retention::LogRetention,
    observed::{self, ObservedArgs},
    sandbox::SandboxArgs,
    steps::StepArgs,
    store_choice::StoreChoice,
    units,
};
use crate::{
    client::KeyUse,
    print,
    worker::{self, WorkerSettings},
};

pub(super) const TELEMETRY: Program = Program::claude_tasks(env!("CARGO_PKG_VERSION"));

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks worker --keyring keys --workdir data --store data/store
  claude-tasks worker --workdir data --max-tasks 4 --max-timeout 2h \\
    --max-permission-mode acceptEdits --deny-tool WebFetch
  TEMPORAL_CODEC_KEY=aws-kms://alias/tasks AWS_REGION=eu-west-1 \\
    claude-tasks worker --address temporal:7233

The worker prints `worker ready` when it polls. SIGTERM or Ctrl-C ends it:
it takes no new tasks, and running tasks may continue for --drain-time.

--admin-listen answers /healthz and /readyz for probes, and /metrics for
Prometheus. Traces and metrics are sent by OTLP where
OTEL_EXPORTER_OTLP_ENDPOINT names a collector, such as http://127.0.0.1:4318.

Where bubblewrap works, tasks run in a sandbox without network. With
--task-network on, they reach public addresses, and no other. A worker that
runs as root gives each task a Unix user of its own. The log says what does not
work on this machine.";

/// The options of `worker`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Worker")]
pub(super) struct WorkerArgs {
    /// The folder for workspaces (tasks/) and logs (sessions/), and with `claude-tasks all` for the store (store/). Only the
    /// worker's user can read it.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WORKDIR",
        default_value = "claude-tasks-data",
        value_name = "DIR"
    )]
    pub workdir: PathBuf,
    /// How many tasks run at the same time. Each task needs memory and CPUs of its own.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TASKS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_tasks: u16,
    /// How long running tasks may continue after SIGTERM or Ctrl-C, such as 20s. Then they are stopped and fail. A second
    /// signal stops them at once.
    #[arg(
        long,
        env = "CLAUDE_TASKS_DRAIN_TIME",
        default_value = "15s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    drain_time: Duration,
    /// How long a stopped task may take to clean up before it is killed, such as 10s.
    #[arg(
        long,
        env = "CLAUDE_TASKS_GRACE_TIME",
        default_value = "10s",
        value_name = "TIME",
        value_parser = units::time
    )]
    grace_time: Duration,
    /// A file with a public key (PEM); may be given several times. The worker then runs only requests that one of these keys has
    /// signed.
    #[arg(
        long = "request-key",
        env = "CLAUDE_TASKS_REQUEST_KEYS",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    request_keys: Vec<PathBuf>,
    #[command(flatten)]
    log_retention: LogRetention,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    claude: ClaudeArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    steps: StepArgs,
    #[command(flatten)]
    pub observed: ObservedArgs,
}

/// Runs a worker.
///
/// # Errors
/// When it cannot start, or Temporal refuses it.
pub(super) async fn run(
    args: WorkerArgs,
    log: Option<EarlyLog>,
) -> Result<CommandEnd, CommandError> {
    let queue = args.connection.task_queue().to_owned();
    let observed_args = args.observed.clone();
    let config = TelemetryConfig::from_variables(&variable).map_err(CommandError::Telemetry)?;
    let telemetry = Telemetry::start(TELEMETRY, &config, log)
        .map_err(|failure| CommandError::Telemetry(failure.to_string()))?;
    StoreChoice::warn_if_unset(args.connection.store()?.as_ref());
    let mut settings = settings(args)?;
    let started = observed::start(&observed_args, settings.connection, telemetry.metrics());
    let (observed, connection) = started.await?;
    settings.connection = connection;
    let ran = worker::run(settings, observed.readiness(), StopSignals::listen, || {
        print::line(&format!("worker ready: task queue {queue}"));
    });
    let ended = Box::pin(ran).await;
    let closed = observed.finish().await;
    telemetry.finish().await;
    ended?;
    closed?;
    Ok(CommandEnd::Done)
}

/// The worker's settings from its options.
///
/// # Errors
/// When Claude Code cannot be found, or a variable has no valid value.
pub(super) fn settings(args: WorkerArgs) -> Result<WorkerSettings, CommandError> {
    let (api_url, linger_time) = (
        args.claude.anthropic_base_url.clone(),
        args.claude.linger_time,
    );
    Ok(WorkerSettings {
        claude: args.claude.config(args.limits.caps())?,
        connection: args.connection.options(KeyUse::Encrypt)?,
        git: args.steps.git(),
        webhooks: args.steps.webhooks()?,
        api_url,
        api_limits: args.limits.api(),
        sandbox: args.sandbox.settings(),
        egress: args.sandbox.egress(),
        workdir: args.workdir,
        max_tasks: args.max_tasks,
        request_keys: args.request_keys,
        webhook_age: args.steps.webhook_age,
        limits: args.limits.output(),
        drain_time: args.drain_time,
        linger_time,
        grace_time: args.grace_time,
        log_retention: args.log_retention.time(),
    })
}
