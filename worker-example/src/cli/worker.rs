//! `claude-tasks worker`: runs tasks until SIGTERM or Ctrl-C.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use clap::{Args, ValueEnum as _};
use temporal_kms_codec::endpoint;
use temporal_kms_codec_service::{
    arguments::variable,
    lifecycle::StopSignals,
    log::EarlyLog,
    telemetry::{Program, Telemetry, TelemetryConfig},
};
use url::Url;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    input::InputError,
    observed::{self, ObservedArgs},
    sandbox::SandboxArgs,
    steps::StepArgs,
    store_choice::StoreChoice,
    units,
};
use crate::{
    client::KeyUse,
    print,
    task::PermissionMode,
    worker::{self, Caps, ClaudeConfig, OutputLimits, WorkerSettings},
};

/// A variable of the original service.
///
/// | variable | meaning |
/// |---|---|
/// | `PERMISSION_MODE` | as `CLAUDE_TASKS_PERMISSION_MODE`, which wins |
const PERMISSION_MODE: &str = "PERMISSION_MODE";
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
pub(super) struct WorkerArgs {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub observed: ObservedArgs,
    #[command(flatten)]
    pub steps: StepArgs,
    /// Claude Code's program: a name on the PATH, or a path.
    #[arg(
        long,
        env = "CLAUDE_TASKS_CLAUDE",
        default_value = "claude",
        value_name = "PATH"
    )]
    pub claude: PathBuf,
    /// The folder for workspaces (tasks/) and logs (sessions/), and with `claude-tasks all` for the store (store/). Only the
    /// worker's user can read it.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WORKDIR",
        default_value = "claude-tasks-data",
        value_name = "DIR"
    )]
    pub workdir: PathBuf,
    /// How many tasks run at the same time. More than one need memory and CPUs for each.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TASKS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_tasks: u16,
    /// The URL of the API, if it is not Anthropic's. Only the worker calls it, with the caller's credential, so it must be
    /// https://, or http:// on this machine.
    #[arg(long, env = "ANTHROPIC_BASE_URL", value_name = "URL", value_parser = base_url)]
    pub anthropic_base_url: Option<Url>,
    /// How often Claude Code repeats a failed API call, even after a wrong API key. The pauses grow: ten repetitions take
    /// three minutes.
    #[arg(
        long,
        env = "CLAUDE_TASKS_API_RETRIES",
        default_value_t = 2,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100)
    )]
    pub api_retries: u32,
    /// The permission mode of tasks that name none.
    #[arg(long, env = "CLAUDE_TASKS_PERMISSION_MODE")]
    pub permission_mode: Option<PermissionMode>,
    /// A tool that tasks may use without permission, if they name none; may be given several times.
    #[arg(
        long = "allowed-tool",
        env = "CLAUDE_TASKS_ALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub allowed_tools: Vec<String>,
    /// A tool that is denied to tasks that name none; may be given several times.
    #[arg(
        long = "disallowed-tool",
        env = "CLAUDE_TASKS_DISALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub disallowed_tools: Vec<String>,
    /// A tool that is denied to every task; may be given several times. A caller cannot allow it.
    #[arg(
        long = "deny-tool",
        env = "CLAUDE_TASKS_DENY_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    pub denied_tools: Vec<String>,
    /// The most permissive permission mode of a task. A task that asks for more gets this one, and its result says so.
    #[arg(long, env = "CLAUDE_TASKS_MAX_PERMISSION_MODE", value_name = "MODE")]
    pub max_permission_mode: Option<PermissionMode>,
    /// The longest time limit of a task, such as 2h. A task that asks for more gets this one, and its result says so.
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
    /// A variable of the worker that tasks get, too, such as `HTTPS_PROXY`; may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_PASS_ENV",
        value_delimiter = ',',
        value_name = "NAME",
        value_parser = variable_name
    )]
    pub pass_env: Vec<String>,
    /// How much a task may print, such as 512MiB. A task that prints more is stopped and fails.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_OUTPUT",
        default_value = "512MiB",
        value_name = "SIZE",
        value_parser = units::size
    )]
    pub max_output: ByteSize,
    /// How many events (lines) a task may print. A task that prints more is stopped and fails.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_EVENTS",
        default_value_t = 200_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    pub max_events: u64,
    /// How long running tasks may continue after SIGTERM or Ctrl-C, such as 20s. Then they are stopped and fail. A second
    /// signal stops them at once.
    #[arg(
        long,
        env = "CLAUDE_TASKS_DRAIN_TIME",
        default_value = "15s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    pub drain_time: Duration,
    /// How long Claude Code may run after its result, such as 30s. It waits for commands that it started in the background,
    /// and takes another turn when one ends. After this time the task ends with the result that it has.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LINGER_TIME",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    pub linger_time: Duration,
    /// A file with a public key (PEM); may be given several times. The worker then runs only requests that one of these keys has
    /// signed.
    #[arg(
        long = "request-key",
        env = "CLAUDE_TASKS_REQUEST_KEYS",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    pub request_keys: Vec<PathBuf>,
    /// How long a webhook is tried until its receiver acknowledges it, such as 1d.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WEBHOOK_AGE",
        default_value = "1d",
        value_name = "TIME",
        value_parser = units::time
    )]
    pub webhook_age: Duration,
    /// How many days the logs of tasks are kept. 0 keeps them for ever.
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
    #[command(flatten)]
    pub sandbox: SandboxArgs,
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
    let mut claude = ClaudeConfig::find(&args.claude)?;
    claude.pass_env = args.pass_env;
    claude.api_retries = Some(args.api_retries);
    claude.permission_mode = match args.permission_mode {
        Some(mode) => Some(mode),
        None => permission_mode()?,
    };
    claude.allowed_tools = args.allowed_tools;
    claude.disallowed_tools = args.disallowed_tools;
    claude.caps = Caps {
        denied_tools: args.denied_tools,
        permission_mode: args.max_permission_mode,
        minutes: args.max_timeout.map(whole_minutes),
        turns: args.max_turns_limit,
    };
    let days = args.log_retention_days;
    Ok(WorkerSettings {
        connection: args.connection.options(KeyUse::Encrypt)?,
        git: args.steps.git(),
        webhooks: args.steps.webhooks()?,
        claude,
        api_url: args.anthropic_base_url,
        api_limits: args.sandbox.api_limits(),
        sandbox: args.sandbox.settings(),
        egress: args.sandbox.egress(),
        workdir: args.workdir,
        max_tasks: args.max_tasks,
        request_keys: args.request_keys,
        webhook_age: args.webhook_age,
        limits: OutputLimits {
            lines: args.max_events,
            bytes: args.max_output.as_u64(),
            ..OutputLimits::default()
        },
        drain_time: args.drain_time,
        linger_time: args.linger_time,
        grace_time: args.grace_time,
        log_retention: (days > 0).then(|| Duration::from_hours(24 * u64::from(days))),
    })
}

/// The permission mode by the variable of the original service.
fn permission_mode() -> Result<Option<PermissionMode>, CommandError> {
    let Some(name) = variable(PERMISSION_MODE) else {
        return Ok(None);
    };
    let mode = PermissionMode::from_str(&name, false).map_err(|_| InputError::Option {
        name: PERMISSION_MODE,
        problem: "must be plan, default, acceptEdits or bypassPermissions".to_owned(),
    })?;
    Ok(Some(mode))
}

/// The URL of the API, which receives credentials. A URL that would send them unencrypted is refused.
fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|_| "expected a URL such as https://HOST or https://HOST:PORT/PATH".to_owned())?;
    let origin = url.origin();
    if !origin.is_tuple() {
        return Err("expected a URL such as https://HOST or https://HOST:PORT/PATH".to_owned());
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

/// A time as whole minutes, at least one. Time limits of requests are whole minutes.
fn whole_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 60)
        .unwrap_or(u32::MAX)
        .max(1)
}

fn variable_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("expected the name of a variable, without its value".to_owned());
    }
    Ok(name.to_owned())
}
