//! `claude-tasks api`: serves the HTTP API until SIGTERM or Ctrl-C.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use temporal_kms_codec::{
    audit::{AuditLog, Target},
    kms::CallObserver,
};
use temporal_kms_codec_service::{
    lifecycle::{CancellationToken, StopSignals, Triggers},
    log::EarlyLog,
    telemetry::{Metrics, Telemetry},
};

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    observed::{close_log, open_log},
    store_choice::StoreChoice,
    worker::TELEMETRY,
};
use crate::{
    api::{Api, ApiAudit, ApiConfig, Origin},
    client::{ConnectOptions, KeyUse, TaskClient},
    print,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks api --keyring keys --store data/store
  claude-tasks api --config claude-tasks.toml --address temporal:7233
  PORT=9000 claude-tasks api --keyring keys

A small claude-tasks.toml for callers with Google identity tokens:
  [auth.issuers.google]
  profile = \"google\"
  audience = [\"https://tasks.example.com\"]
  emails = { \"client@project.iam.gserviceaccount.com\" = [\"default:write\"] }

Without a section [auth], only programs of this machine can call. The service
prints `listening on URL` when it takes requests. It keeps no state: a stream
that ends with the process can be resumed at another one.

SIGHUP, or a change of the configuration or of a file that it names, makes the
service read it again. Callers and limits change at once. An invalid one changes
nothing.";

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
#[command(next_help_heading = "API")]
pub(super) struct ConfigArgs {
    /// The configuration of the API. Without it, settings come from `CODEC_API_…`, `CODEC_AUTH_…` and `CODEC_TLS_…` variables.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    pub config: Option<PathBuf>,
    /// The key that signs requests, such as `local://requests`. Workers with `--request-key` run signed requests only.
    #[arg(long, env = "CLAUDE_TASKS_SIGNING_KEY", value_name = "URI")]
    pub sign_with: Option<String>,
}

impl ConfigArgs {
    /// Reads the configuration. The key that signs its audit log is reached as the other keys are.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(super) fn load(
        &self,
        options: &ConnectOptions,
    ) -> Result<(ApiConfig, Origin), CommandError> {
        // Variables that are wrong are reported when the client connects.
        let kms = options.codec_settings().map(|settings| settings.kms);
        Ok(ApiConfig::load(
            self.config.as_deref(),
            &kms.unwrap_or_default(),
        )?)
    }

    /// The connection, with the key that signs.
    ///
    /// # Errors
    /// When a variable does not name a store.
    pub(super) fn options(
        &self,
        connection: &ConnectionArgs,
    ) -> Result<ConnectOptions, CommandError> {
        let options = connection.options(KeyUse::Encrypt)?;
        Ok(match &self.sign_with {
            Some(key) => options.with_signing_key(key),
            None => options,
        })
    }
}

/// Serves the API.
///
/// # Errors
/// When the configuration is wrong, Temporal or the key cannot be used, or the address is taken.
pub(super) async fn run(args: ApiArgs, log: Option<EarlyLog>) -> Result<CommandEnd, CommandError> {
    let options = args.file.options(&args.connection)?;
    let (config, origin) = args.file.load(&options)?;
    let telemetry = Telemetry::start(TELEMETRY, &config.telemetry, log)
        .map_err(|failure| CommandError::Telemetry(failure.to_string()))?;
    StoreChoice::warn_if_unset(args.connection.store()?.as_ref());
    let triggers = Triggers::listen().map_err(CommandError::Signals)?;
    let signals = StopSignals::listen_but_to_hangup().map_err(CommandError::Signals)?;
    let stop = CancellationToken::new();
    tokio::spawn(signals.cancel(stop.clone()));
    let served = serve(config, options, &telemetry, stop, origin, triggers).await;
    telemetry.finish().await;
    served.map(|()| CommandEnd::Done)
}

async fn serve(
    config: ApiConfig,
    options: ConnectOptions,
    telemetry: &Telemetry,
    stop: CancellationToken,
    origin: Origin,
    triggers: Triggers,
) -> Result<(), CommandError> {
    let say = announcer(&config);
    let log = open_audit(&config).await?;
    let audit = log.clone().map(own_audit);
    let run = async {
        // Its workers are other processes.
        let api = bind(config, options, telemetry.metrics(), audit, true).await?;
        say(&format!("listening on {}", api.url()));
        api.run(stop, origin, triggers).await;
        Ok::<_, CommandError>(())
    };
    let served = Box::pin(run).await;
    let closed = close_log(log).await;
    served?;
    closed
}

/// Prints the lines that scripts wait for. An audit log on standard output has nothing but its own lines.
pub(super) fn announcer(config: &ApiConfig) -> fn(&str) {
    let audit = config.audit.as_ref();
    match audit.map(|audit| &audit.options.target) {
        Some(Target::Stdout) => print::note,
        _ => print::line,
    }
}

/// Opens the audit log of the configuration, if it has one.
///
/// # Errors
/// When the log cannot be written, or the key that signs it cannot be used.
pub(super) async fn open_audit(config: &ApiConfig) -> Result<Option<Arc<AuditLog>>, CommandError> {
    match &config.audit {
        Some(audit) => Ok(Some(open_log(audit, &config.kms).await?)),
        None => Ok(None),
    }
}

/// A log that only the API writes to.
pub(super) fn own_audit(log: Arc<AuditLog>) -> ApiAudit {
    ApiAudit {
        log,
        is_shared: false,
    }
}

/// Connects, and listens. `audit` gets a line of each request and of each call of a key. `own_workers_call_back` says whether
/// the workers of this process, if it has some, can sign webhooks.
///
/// # Errors
/// When Temporal or the key cannot be used, or the address is taken.
pub(super) async fn bind(
    config: ApiConfig,
    options: ConnectOptions,
    metrics: &Arc<Metrics>,
    audit: Option<ApiAudit>,
    own_workers_call_back: bool,
) -> Result<Api, CommandError> {
    let observer = audit.as_ref().map(|audit| Arc::clone(&audit.log));
    let options = options
        .with_identity("claude-tasks-api")
        .with_metrics(metrics)
        .with_observer(observer.map(|log| -> Arc<dyn CallObserver> { log }));
    let client = TaskClient::connect(&options).await?;
    let metrics = Arc::clone(metrics);
    Ok(Api::bind(config, client, metrics, audit, own_workers_call_back).await?)
}
