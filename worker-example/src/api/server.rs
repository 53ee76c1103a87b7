//! The server of the API: its listener, its readiness, and its end.

use std::{sync::Arc, time::Duration};

use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    auth::Authenticator,
    connection::{self, ConnectionLimits, Service},
    lifecycle::{Condition, KEYS, Phase, Readiness, finish, serve_until_noticed},
    listener::{ListenAddress, Listener},
    settings::Problems,
    shares::Shares,
    telemetry::Metrics,
    tls::{Tls, TlsError},
};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    app::{App, MAX_OPEN},
    config::ApiConfig,
    router::router,
};
use crate::client::TaskClient;

/// How often Temporal is asked whether it answers and has workers.
const LOOK: Duration = Duration::from_secs(10);

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
    delay: Duration,
    grace: Duration,
}

impl Api {
    /// Listens. With port 0, the system picks a port.
    ///
    /// # Errors
    /// When a file cannot be used, or the address is taken.
    pub(crate) async fn bind(
        config: ApiConfig,
        client: TaskClient,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ApiServerError> {
        let authenticator = Authenticator::open(&config.auth).map_err(Problems::from_faults)?;
        let name = client.namespace();
        let namespace = Namespace::new(&name).map_err(|_| ApiServerError::Namespace(name))?;
        let tls = config.tls.map(Tls::open).transpose()?;
        let address = config.listen.clone();
        let listener = Listener::bind(address.clone())
            .await
            .map_err(|source| ApiServerError::Listen { address, source })?;
        if authenticator.is_open() && config.listen.is_remote() {
            tracing::warn!(
                address = %config.listen,
                "EVERYBODY WHO CAN REACH THIS SERVICE CAN RUN TASKS: `insecure_without_authentication` is set and there is no \
                 section [auth]"
            );
        }
        let readiness = Readiness::new();
        metrics.process().watch_readiness(&readiness);
        let app = App {
            is_local: authenticator.is_open() && !config.insecure_without_authentication,
            authenticator,
            namespace,
            client,
            rules: config.rules,
            callers: Shares::new(&config.caller),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            readiness,
            metrics,
            stop: CancellationToken::new(),
        };
        Ok(Self {
            app: Arc::new(app),
            listener,
            tls,
            limits: ConnectionLimits {
                max_connections: config.max_connections,
                max_headers: 32 << 10,
                header: Duration::from_secs(30),
                // A client may pause. When its connection is closed, its task is cancelled.
                write: Duration::from_mins(5),
                // A stream is one answer, and lasts as long as its task.
                answer: Duration::from_hours(26),
            },
            delay: config.shutdown_delay,
            grace: config.shutdown_grace,
        })
    }

    /// Where clients call, as a URL.
    pub(crate) fn url(&self) -> String {
        self.listener.address().url(self.tls.is_some())
    }

    /// Serves until `stop`. Streams then end, so that their clients resume them elsewhere. Tasks continue.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self {
            app,
            listener,
            tls,
            limits,
            delay,
            grace,
        } = self;
        let mut background = JoinSet::new();
        background.spawn(watch_temporal(Arc::clone(&app)));
        let authenticator = app.authenticator.clone();
        background.spawn(async move { authenticator.warm_up().await });
        if let Some(tls) = &tls {
            background.spawn(Arc::clone(tls).watch(Arc::clone(&app.readiness)));
        }
        let service = Service {
            name: "public",
            router: router(Arc::clone(&app)),
            tls,
            metrics: Arc::clone(&app.metrics),
        };
        let close = CancellationToken::new();
        let closing = close.clone();
        let serving =
            tokio::spawn(
                async move { connection::serve(listener, service, &limits, closing).await },
            );
        stop.cancelled().await;
        app.readiness.advance(Phase::Draining);
        background.abort_all();
        serve_until_noticed(delay).await;
        close.cancel();
        app.stop.cancel();
        finish(serving, grace).await;
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
