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

/// How long logs are kept unless the operator says otherwise.
const LOG_RETENTION: Duration = Duration::from_hours(30 * 24);
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
    /// How long the logs of tasks are kept, such as 90d. 0s keeps them for ever [default: 30d].
    #[arg(long, env = "CLAUDE_TASKS_LOG_RETENTION", value_name = "TIME", value_parser = units::retention)]
    log_retention: Option<Duration>,
    /// `--log-retention` in days, as it was called before.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LOG_RETENTION_DAYS",
        value_name = "DAYS",
        hide = true
    )]
    log_retention_days: Option<u32>,
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

impl WorkerArgs {
    /// How long logs are kept. `None` keeps them for ever.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `CLAUDE_TASKS_LOG_RETENTION_DAYS` | as `CLAUDE_TASKS_LOG_RETENTION`, which wins, as a number of days | |
    fn log_retention(&self) -> Option<Duration> {
        let in_days = self.log_retention_days.map(u64::from);
        let in_days = in_days.map(|days| Duration::from_hours(24 * days));
        let time = self.log_retention.or(in_days).unwrap_or(LOG_RETENTION);
        (!time.is_zero()).then_some(time)
    }
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
    let log_retention = args.log_retention();
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
        log_retention,
    })
}

#[cfg(test)]
mod tests {
    use std::iter;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: WorkerArgs,
    }

    #[test]
    fn logs_are_kept_for_a_time_or_for_days_as_before() {
        let kept = |arguments: &[&str]| {
            let cli = Cli::try_parse_from(iter::once(&"worker").chain(arguments));
            cli.map(|cli| cli.args.log_retention())
                .map_err(|error| error.kind())
        };
        let days = |days: u64| Ok(Some(Duration::from_hours(24 * days)));
        assert_eq!(kept(&[]), days(30));
        assert_eq!(kept(&["--log-retention", "90d"]), days(90));
        assert_eq!(kept(&["--log-retention-days", "7"]), days(7));
        let both = ["--log-retention-days", "7", "--log-retention", "2d"];
        assert_eq!(kept(&both), days(2));
        for never in [["--log-retention", "0s"], ["--log-retention-days", "0"]] {
            assert_eq!(kept(&never), Ok(None));
        }
        for bad in ["30", "101y"] {
            assert!(kept(&["--log-retention", bad]).is_err(), "{bad}");
        }
    }
}
