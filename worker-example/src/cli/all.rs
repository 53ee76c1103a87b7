//! `claude-tasks all`: the HTTP API and a worker in one process.

use clap::Args;
use temporal_kms_codec_service::{
    lifecycle::{CancellationToken, StopSignals},
    log::EarlyLog,
    telemetry::Telemetry,
};

use super::{
    api::{ConfigArgs, bind},
    exit::{CommandEnd, CommandError},
    observed,
    worker::{self, TELEMETRY, WorkerArgs},
};
use crate::{api::ApiConfig, print, worker::run as run_worker};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks all --keyring keys --workdir data
  claude-tasks all --config claude-tasks.toml --max-tasks 1

It has the options of `api` and of `worker`. In production, run them apart:
the worker runs foreign code, and the API is reached from outside.";

/// The options of `all`.
#[derive(Clone, Debug, Args)]
pub(super) struct AllArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    file: ConfigArgs,
}

/// Serves the API and runs a worker. At a signal, the API stops, and the worker drains.
///
/// # Errors
/// As the two commands.
pub(super) async fn run(args: AllArgs, log: Option<EarlyLog>) -> Result<CommandEnd, CommandError> {
    let config = ApiConfig::load(args.file.config.as_deref())?;
    let telemetry = Telemetry::start(TELEMETRY, &config.telemetry, log)
        .map_err(|failure| CommandError::Telemetry(failure.to_string()))?;
    let queue = args.worker.connection.task_queue().to_owned();
    let options = args.file.options(&args.worker.connection);
    let observed_args = args.worker.observed.clone();
    let mut settings = worker::settings(args.worker)?;
    let started = observed::start(&observed_args, settings.connection, telemetry.metrics());
    let (observed, connection) = started.await?;
    settings.connection = connection;
    let options = options.with_observer(observed.observer());
    let mut signals = StopSignals::listen().map_err(CommandError::Signals)?;
    let api = bind(config, options, telemetry.metrics()).await?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(api.run(stop.clone()));
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
    });
    // The worker waits for the same signals.
    let ran = Box::pin(run_worker(settings, observed.readiness(), || {
        print::line(&format!("worker ready: task queue {queue}"));
    }))
    .await;
    stop.cancel();
    if let Err(error) = serving.await {
        tracing::error!(%error, "the API failed");
    }
    let closed = observed.finish().await;
    telemetry.finish().await;
    ran?;
    closed?;
    Ok(CommandEnd::Done)
}
