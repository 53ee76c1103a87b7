//! How a worker is observed: probes, metrics for Prometheus, and the audit log of the calls of its keys.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use temporal_kms_codec::{
    CodecSettings, ConfigurationError,
    audit::{AuditLog, OnFailure, Target},
    kms::{CallObserver, Kms},
};
use temporal_kms_codec_service::{
    admin::{self, AnswersHost, Unwritable},
    audit::AuditConfig,
    lifecycle::{CancellationToken, Readiness},
    listener::{self, ListenAddress, Listener},
    telemetry::Metrics,
};
use tokio::{task::JoinHandle, time::timeout};

use super::exit::CommandError;
use crate::{client::ConnectOptions, print};

/// The name of this program in its audit log.
const PROGRAM: &str = concat!("claude-tasks ", env!("CARGO_PKG_VERSION"));
const UNWRITABLE: Unwritable = Unwritable {
    refuses: "so keys are not used",
    continues: "and tasks continue",
};
/// For health requests in flight when everything else is done.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// The options of a worker that is observed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Probes, metrics and audit log")]
pub(super) struct ObservedArgs {
    /// Where `/healthz`, `/readyz` and `/metrics` are answered: an address and port, or `unix:` and the path of a socket. The
    /// answers show no task. `/metrics` names keys and the namespace. Without this option nothing is answered.
    #[arg(long, env = "CLAUDE_TASKS_ADMIN_LISTEN", value_name = "ADDRESS", value_parser = listener::parse)]
    admin_listen: Option<ListenAddress>,
    /// A folder for an audit log of each call of a key. It must exist, and only the worker's user may write to it.
    /// `codec-server audit verify` checks it.
    #[arg(long, env = "CLAUDE_TASKS_AUDIT_LOG", value_name = "DIR")]
    audit_log: Option<PathBuf>,
    /// The key that signs the audit log at intervals, as a URI. Without it, a person who can write to the folder can replace
    /// the whole log unseen.
    #[arg(
        long,
        env = "CLAUDE_TASKS_AUDIT_ANCHOR_KEY",
        value_name = "URI",
        requires = "audit_log"
    )]
    audit_anchor_key: Option<String>,
    /// Whether tasks are refused or continue while the audit log cannot be written: refuse or continue [default: refuse].
    #[arg(
        long,
        env = "CLAUDE_TASKS_AUDIT_ON_FAILURE",
        value_name = "WHAT",
        requires = "audit_log"
    )]
    audit_on_failure: Option<OnFailure>,
}

/// What observes a worker.
pub(super) struct Observed {
    readiness: Arc<Readiness>,
    audit: Option<Arc<AuditLog>>,
    watch: Option<JoinHandle<()>>,
    admin: Option<(JoinHandle<()>, CancellationToken)>,
}

/// Opens the audit log, and answers probes from now on. Returns the connection with what observes its keys.
///
/// # Errors
/// When the log cannot be written, or the address cannot be listened on.
pub(super) async fn start(
    args: &ObservedArgs,
    connection: ConnectOptions,
    metrics: &Arc<Metrics>,
) -> Result<(Observed, ConnectOptions), CommandError> {
    let readiness = Readiness::new();
    metrics.process().watch_readiness(&readiness);
    let audit = match &args.audit_log {
        Some(folder) => Some(open(args, folder.clone(), connection.codec_settings()).await?),
        None => None,
    };
    let watch = audit.clone().map(|log| {
        let readiness = Arc::clone(&readiness);
        tokio::spawn(admin::watch_audit(
            log,
            readiness,
            Arc::clone(metrics),
            UNWRITABLE,
        ))
    });
    let admin = match &args.admin_listen {
        Some(address) => Some(listen(address, &readiness, metrics).await?),
        None => None,
    };
    let observed = Observed {
        readiness,
        audit,
        watch,
        admin,
    };
    let connection = connection
        .with_metrics(metrics)
        .with_observer(observed.observer());
    Ok((observed, connection))
}

async fn open(
    args: &ObservedArgs,
    folder: PathBuf,
    settings: Result<CodecSettings, ConfigurationError>,
) -> Result<Arc<AuditLog>, CommandError> {
    let mut kms = settings.map_err(|error| failed(&error))?.kms;
    let mut config = AuditConfig::to(Target::Folder(folder));
    if let Some(key) = &args.audit_anchor_key {
        let key = kms.read_key(key).map_err(|error| failed(&error))?;
        config.anchor_key = Some(key);
    }
    config.options.on_failure = args.audit_on_failure.unwrap_or_default();
    open_log(&config, &kms).await
}

/// Opens an audit log, and writes its beginning.
///
/// # Errors
/// When the log cannot be written, or the key that signs it cannot be used.
pub(super) async fn open_log(
    config: &AuditConfig,
    kms: &Kms,
) -> Result<Arc<AuditLog>, CommandError> {
    let log = config.open(kms, PROGRAM).await;
    let log = log.map_err(|error| failed(&error))?;
    log.started().await.map_err(|error| failed(&error))?;
    Ok(log)
}

/// Writes the end of an audit log, if there is one.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn close_log(log: Option<Arc<AuditLog>>) -> Result<(), CommandError> {
    match log {
        Some(log) => log.close().await.map_err(|error| failed(&error)),
        None => Ok(()),
    }
}

fn failed(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Audit(error.to_string())
}

async fn listen(
    address: &ListenAddress,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> Result<(JoinHandle<()>, CancellationToken), CommandError> {
    let bound = Listener::bind(address.clone()).await;
    let listener = bound.map_err(|source| CommandError::Listen {
        address: address.clone(),
        source,
    })?;
    // A web page can point a name of its own to a loopback address. Elsewhere, the names of this machine are not known.
    let is_loopback = listener.address().tcp().is_some() && !listener.address().is_remote();
    let answers: AnswersHost = Arc::new(move |uri, headers| {
        !is_loopback || admin::names_no_foreign_host(uri, headers, |_| false)
    });
    print::line(&format!(
        "admin listening on {}",
        listener.address().url(false)
    ));
    let routes = admin::routes(
        Arc::clone(readiness),
        Arc::clone(metrics),
        answers,
        "use one of them",
    );
    let stop = CancellationToken::new();
    let serving = tokio::spawn(admin::serve(listener, routes, stop.clone()));
    Ok((serving, stop))
}

impl Observed {
    pub(super) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The audit log, if there is one.
    pub(super) fn audit(&self) -> Option<Arc<AuditLog>> {
        self.audit.clone()
    }

    /// Who is told of the calls of keys.
    pub(super) fn observer(&self) -> Option<Arc<dyn CallObserver>> {
        let audit = self.audit.clone();
        audit.map(|log| -> Arc<dyn CallObserver> { log })
    }

    /// Writes the end of the audit log, and ends the answers to probes.
    ///
    /// # Errors
    /// When the end cannot be written.
    pub(super) async fn finish(self) -> Result<(), CommandError> {
        if let Some(watch) = self.watch {
            watch.abort();
        }
        let closed = close_log(self.audit).await;
        if let Some((serving, stop)) = self.admin {
            stop.cancel();
            // Nothing is lost with a probe that is cut off.
            let _ = timeout(ADMIN_GRACE, serving).await;
        }
        closed
    }
}
