//! The server of the API: its listener, its readiness, and its end.

use std::{sync::Arc, time::Duration};

use temporal_kms_codec::{Namespace, audit::AuditLog};
use temporal_kms_codec_service::{
    admin::{self, Unwritable},
    audit::RequestLog,
    connection::{self, ConnectionLimits, Service},
    lifecycle::{Condition, KEYS, Phase, Triggers, finish, serve_until_noticed},
    listener::{ListenAddress, Listener},
    reload_report::ReloadReport,
    settings::Problems,
    telemetry::Metrics,
    tls::{Tls, TlsError},
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{app::App, config::ApiConfig, live::Live, origin::Origin, reload, router::router};
use crate::client::TaskClient;

/// How often Temporal is asked whether it answers and has workers.
const LOOK: Duration = Duration::from_secs(10);
const UNWRITABLE: Unwritable = Unwritable {
    refuses: "so requests are refused",
    continues: "and requests are served",
};

/// The API cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ApiServerError {
    /// The configuration cannot work.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// The certificates cannot be used.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The namespace has a name that callers cannot have roles in.
    #[error("the namespace `{0}` is not a valid name; check --namespace")]
    Namespace(String),
    /// The server cannot listen on an address.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why not.
        source: std::io::Error,
    },
}

/// The API, ready to serve.
pub(crate) struct Api {
    app: Arc<App>,
    listener: Listener,
    tls: Option<Arc<Tls>>,
    limits: ConnectionLimits,
    audit: Option<ApiAudit>,
}

/// The audit log of requests.
#[derive(Clone)]
pub(crate) struct ApiAudit {
    pub(crate) log: Arc<AuditLog>,
    /// Whether another part of the process has opened it, and watches it.
    pub(crate) is_shared: bool,
}

impl Api {
    /// Listens. With port 0, the system picks a port. `audit` gets a line of each request. `own_workers_call_back` says whether
    /// the workers of this process, if it has some, can sign webhooks.
    ///
    /// # Errors
    /// When a file cannot be used, or the address is taken.
    pub(crate) async fn bind(
        config: ApiConfig,
        client: TaskClient,
        metrics: Arc<Metrics>,
        audit: Option<ApiAudit>,
        own_workers_call_back: bool,
    ) -> Result<Self, ApiServerError> {
        let live = Live::open(config, None)?;
        let config = &live.config;
        let name = client.namespace();
        let namespace = Namespace::new(&name).map_err(|_| ApiServerError::Namespace(name))?;
        let tls = config.tls.clone().map(Tls::open).transpose()?;
        let address = config.listen.clone();
        let listener = Listener::bind(address.clone())
            .await
            .map_err(|source| ApiServerError::Listen { address, source })?;
        if live.authenticator.is_open() && config.listen.is_remote() {
            tracing::warn!(
                address = %config.listen,
                "EVERYBODY WHO CAN REACH THIS SERVICE CAN RUN TASKS: `insecure_without_authentication` is set and there is no \
                 section [auth]"
            );
        }
        let max_connections = config.max_connections;
        let log = audit.as_ref().map(|audit| Arc::clone(&audit.log));
        let log = RequestLog::new(log);
        let app = App::new(live, namespace, client, log, own_workers_call_back, metrics);
        app.metrics.process().watch_readiness(&app.readiness);
        Ok(Self {
            app: Arc::new(app),
            listener,
            tls,
            limits: ConnectionLimits {
                max_connections,
                max_headers: 32 << 10,
                header: Duration::from_secs(30),
                // A client may pause. When its connection is closed, its task is cancelled.
                write: Duration::from_mins(5),
                // A stream is one answer, and lasts as long as its task.
                answer: Duration::from_hours(26),
            },
            audit,
        })
    }

    /// Where clients call, as a URL.
    pub(crate) fn url(&self) -> String {
        self.listener.address().url(self.tls.is_some())
    }

    /// Serves until `stop`. Streams then end, so that their clients resume them elsewhere, and tasks continue. For clients that left
    /// before the stop, it still tells Temporal. It tries for up to `shutdown_grace`. At each trigger, the configuration is read
    /// again from where it came.
    pub(crate) async fn run(self, stop: CancellationToken, origin: Origin, triggers: Triggers) {
        let Self {
            app,
            listener,
            tls,
            limits,
            audit,
        } = self;
        let mut background = JoinSet::new();
        background.spawn(watch_temporal(Arc::clone(&app)));
        let report = ReloadReport::new(
            Arc::default(),
            Arc::clone(&app.readiness),
            Arc::clone(&app.metrics),
            audit.as_ref().map(|audit| Arc::clone(&audit.log)),
        );
        background.spawn(reload::run(Arc::clone(&app), origin, report, triggers));
        if let Some(ApiAudit {
            log,
            is_shared: false,
        }) = audit
        {
            let (readiness, metrics) = (Arc::clone(&app.readiness), Arc::clone(&app.metrics));
            background.spawn(admin::watch_audit(log, readiness, metrics, UNWRITABLE));
        }
        if let Some(tls) = &tls {
            background.spawn(Arc::clone(tls).watch(Arc::clone(&app.readiness)));
        }
        let service = Service {
            name: "public",
            handler: Arc::new(router(Arc::clone(&app))),
            tls,
            metrics: Arc::clone(&app.metrics),
        };
        let close = CancellationToken::new();
        let (closing, served) = (close.clone(), Arc::clone(&app));
        let serving = tokio::spawn(async move {
            connection::serve(listener, service, &limits, closing).await;
            served.until_idle().await;
        });
        stop.cancelled().await;
        app.readiness.advance(Phase::Draining);
        background.abort_all();
        let live = app.live();
        serve_until_noticed(live.config.shutdown_delay).await;
        close.cancel();
        app.stop.cancel();
        finish(serving, live.config.shutdown_grace).await;
        app.audit.finish();
        tracing::info!("the API has stopped");
    }
}

/// Tells load balancers and operators whether Temporal answers. The keys were checked at the start.
async fn watch_temporal(app: Arc<App>) {
    app.readiness.set(KEYS, Condition::Met);
    loop {
        let condition = match app.client.has_workers().await {
            Some(true) => Condition::Met,
            Some(false) => Condition::Degraded(
                "no worker polls the task queue, so tasks wait; start one with `claude-tasks worker`".to_owned(),
            ),
            None => Condition::Unmet("Temporal does not answer; the log says why".to_owned()),
        };
        app.readiness.set("temporal", condition);
        app.readiness.advance(Phase::Ready);
        sleep(LOOK).await;
    }
}
