//! `claude-tasks all`: the HTTP API and a worker in one process.

use clap::Args;
use temporal_kms_codec_service::{
    lifecycle::{CancellationToken, StopSignals, Triggers},
    log::EarlyLog,
    telemetry::Telemetry,
};
use url::Url;

use super::{
    api::{ConfigArgs, announcer, bind, open_audit, own_audit},
    exit::{CommandEnd, CommandError},
    observed,
    worker::{self, TELEMETRY, WorkerArgs},
};
use crate::{api::ApiAudit, proxy::ClosedPlace, worker::run as run_worker};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks all --keyring keys --workdir data
  claude-tasks all --config claude-tasks.toml --max-tasks 1

It has the options of `api` and of `worker`. In production, run them apart:
the worker runs foreign code, and the API is reached from outside.

Sealed secrets and logs are stored in the folder `store` of --workdir, unless
--store says otherwise.

The lines of requests go to the audit log of the configuration, and otherwise
to that of --audit-log.";

/// The options of `all`.
#[derive(Clone, Debug, Args)]
pub(super) struct AllArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    file: ConfigArgs,
}

/// Serves the API and runs a worker. SIGHUP has the API's configuration read again. At another signal, the API stops, and the worker drains.
///
/// # Errors
/// As the two commands.
pub(super) async fn run(
    mut args: AllArgs,
    log: Option<EarlyLog>,
) -> Result<CommandEnd, CommandError> {
    args.worker
        .connection
        .or_store_within(&args.worker.workdir)?;
    let options = args.file.options(&args.worker.connection)?;
    let (config, origin) = args.file.load(&options)?;
    let telemetry = Telemetry::start(TELEMETRY, &config.telemetry, log)
        .map_err(|failure| CommandError::Telemetry(failure.to_string()))?;
    let queue = args.worker.connection.task_queue().to_owned();
    let observed_args = args.worker.observed.clone();
    let mut settings = worker::settings(args.worker)?;
    let started = observed::start(&observed_args, settings.connection, telemetry.metrics());
    let (observed, connection) = started.await?;
    settings.connection = connection;
    let mut own_log = None;
    let run = async {
        let triggers = Triggers::listen().map_err(CommandError::Signals)?;
        let mut signals = StopSignals::listen_but_to_hangup().map_err(CommandError::Signals)?;
        let say = announcer(&config);
        own_log = open_audit(&config).await?;
        let shared = || {
            Some(ApiAudit {
                log: observed.audit()?,
                is_shared: true,
            })
        };
        let audit = own_log.clone().map(own_audit).or_else(shared);
        let can_call_back = settings.webhooks.is_some();
        let api = bind(config, options, telemetry.metrics(), audit, can_call_back).await?;
        let own = api.url();
        say(&format!("listening on {own}"));
        // Tasks do not see a Unix socket, and reach no other one.
        let own = Url::parse(&own).ok();
        let own = own.as_ref().and_then(ClosedPlace::of_url);
        settings.egress.closed.extend(own);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(api.run(stop.clone(), origin, triggers));
        let stopping = stop.clone();
        tokio::spawn(async move {
            signals.next().await;
            stopping.cancel();
        });
        // The worker waits for the same signals.
        let ran = Box::pin(run_worker(
            settings,
            observed.readiness(),
            StopSignals::listen_but_to_hangup,
            || say(&format!("worker ready: task queue {queue}")),
        ))
        .await;
        stop.cancel();
        if let Err(error) = serving.await.map_err(std::io::Error::from) {
            tracing::error!(%error, "the API failed");
        }
        Ok::<_, CommandError>(ran?)
    };
    let ran = Box::pin(run).await;
    // The logs get their end, also when the start has failed.
    let closed = observed::close_log(own_log).await;
    let finished = observed.finish().await;
    telemetry.finish().await;
    ran?;
    closed?;
    finished?;
    Ok(CommandEnd::Done)
}
