//! `claude-tasks api`: serves the HTTP API until SIGTERM or Ctrl-C.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use temporal_kms_codec_service::{
    lifecycle::{CancellationToken, StopSignals},
    log::EarlyLog,
    telemetry::{Metrics, Telemetry},
};

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    worker::TELEMETRY,
};
use crate::{
    api::{Api, ApiConfig},
    client::{ConnectOptions, KeyUse, TaskClient},
    print,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks api --keyring keys
  claude-tasks api --config claude-tasks.toml --address temporal:7233
  PORT=9000 claude-tasks api --keyring keys

A small claude-tasks.toml for callers with Google identity tokens:
  [auth.issuers.google]
  issuer = \"https://accounts.google.com\"
  audience = [\"https://tasks.example.com\"]
  emails = { \"client@project.iam.gserviceaccount.com\" = [\"default:write\"] }

Without a section [auth], only programs of this machine can call. The service
prints `listening on URL` when it takes requests. It keeps no state: a stream
that ends with the process can be resumed at another one.";

/// The options of `api`.
#[derive(Clone, Debug, Args)]
pub(super) struct ApiArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    file: ConfigArgs,
}

/// Where the API's configuration is.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArgs {
    /// The configuration of the API. Without it, settings come from `CODEC_API_…`, `CODEC_AUTH_…` and `CODEC_TLS_…` variables.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    pub config: Option<PathBuf>,
    /// The key that signs requests, such as <local://requests>. Workers with `--request-key` run signed requests only.
    #[arg(long, env = "CLAUDE_TASKS_SIGNING_KEY", value_name = "URI")]
    pub sign_with: Option<String>,
}

impl ConfigArgs {
    /// The connection, with the key that signs.
    pub(super) fn options(&self, connection: &ConnectionArgs) -> ConnectOptions {
        let options = connection.options(KeyUse::Encrypt);
        match &self.sign_with {
            Some(key) => options.with_signing_key(key),
            None => options,
        }
    }
}

/// Serves the API.
///
/// # Errors
/// When the configuration is wrong, Temporal or the key cannot be used, or the address is taken.
pub(super) async fn run(args: ApiArgs, log: Option<EarlyLog>) -> Result<CommandEnd, CommandError> {
    let config = ApiConfig::load(args.file.config.as_deref())?;
    let telemetry = Telemetry::start(TELEMETRY, &config.telemetry, log)
        .map_err(|failure| CommandError::Telemetry(failure.to_string()))?;
    let signals = StopSignals::listen().map_err(CommandError::Signals)?;
    let stop = CancellationToken::new();
    tokio::spawn(signals.cancel(stop.clone()));
    let options = args.file.options(&args.connection);
    let served = match bind(config, options, telemetry.metrics()).await {
        Ok(api) => {
            api.run(stop).await;
            Ok(())
        }
        Err(error) => Err(error),
    };
    telemetry.finish().await;
    served.map(|()| CommandEnd::Done)
}

/// Connects, listens, and says where.
///
/// # Errors
/// When Temporal or the key cannot be used, or the address is taken.
pub(super) async fn bind(
    config: ApiConfig,
    options: ConnectOptions,
    metrics: &Arc<Metrics>,
) -> Result<Api, CommandError> {
    let options = options
        .with_identity("claude-tasks-api")
        .with_metrics(metrics);
    let client = TaskClient::connect(&options).await?;
    let api = Api::bind(config, client, Arc::clone(metrics)).await?;
    print::line(&format!("listening on {}", api.url()));
    Ok(api)
}
