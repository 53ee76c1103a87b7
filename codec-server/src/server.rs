//! The server: listeners, readiness and the order in which it all starts and stops.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use temporal_kms_codec::audit::{AuditLog, AuditStats};
use temporal_kms_codec_service::{
    admin::{self, AnswersHost},
    lifecycle::{Condition, Phase, Readiness, Reloads, Triggers},
    listener::{ListenAddress, Listener},
    log::LogControl,
    telemetry::Metrics,
    tls::Tls,
};
use tokio::{
    sync::RwLock,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{LoadedConfig, ServerConfig},
    error::ServerError,
    generation::Generation,
    http::{self, Service},
    live::Live,
    reload::Reloader,
    shared::Shared,
};

/// For health requests in flight when everything else is done.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// How often the state of the audit log is looked at, for readiness.
const AUDIT_PAUSE: Duration = Duration::from_secs(1);

/// The name of this program in its audit log.
const PROGRAM: &str = concat!("codec-server ", env!("CARGO_PKG_VERSION"));

/// A server with open keys and listeners, ready to run.
pub struct Server {
    live: Live,
    tls: Option<Arc<Tls>>,
    shared: Shared,
    listener: Listener,
    admin: Option<Listener>,
    reloads: Arc<Reloads>,
    log: Option<LogControl>,
}

impl Server {
    /// Opens the keys and listens on the addresses. With port 0, the system picks a port. `metrics` counts what the server
    /// does.
    ///
    /// # Errors
    /// When the configuration cannot work, a key cannot be opened or an address is taken.
    pub async fn bind(loaded: LoadedConfig, metrics: Arc<Metrics>) -> Result<Self, ServerError> {
        loaded.config.validate()?;
        // Before any key is opened, so that it has a line for every call.
        let audit = match &loaded.config.audit {
            Some(audit) => Some(audit.open(&loaded.config.keys, PROGRAM).await?),
            None => None,
        };
        let shared = Shared {
            metrics,
            readiness: Readiness::new(),
            audit,
        };
        let generation = Generation::open(loaded, shared.clone(), None).await?;
        let config = &generation.loaded.config;
        let tls = config.tls.clone().map(Tls::open).transpose()?;
        let listener = bind(config.server.listen.clone()).await?;
        let admin = match &config.server.admin_listen {
            Some(address) => Some(bind(address.clone()).await?),
            None => None,
        };
        Ok(Self {
            live: Live::new(generation),
            tls,
            shared,
            listener,
            admin,
            reloads: Arc::default(),
            log: None,
        })
    }

    /// Has the level of this log follow the configuration.
    #[must_use]
    pub fn with_log(self, log: Option<LogControl>) -> Self {
        Self { log, ..self }
    }

    /// How many configurations this server has read, and whether the newest can be used.
    #[must_use]
    pub fn reloads(&self) -> &Arc<Reloads> {
        &self.reloads
    }

    /// Where clients call.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// Where clients call, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address(), self.tls.is_some())
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are answered, as a URL.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        let admin = self.admin.as_ref()?;
        Some(url(admin.address(), false))
    }

    /// Serves until `stop` is cancelled. From then on `/readyz` answers 503, and after
    /// [`shutdown_delay`](crate::config::Timeouts::shutdown_delay) no new connection is taken. Requests in
    /// flight are answered within the grace time.
    ///
    /// At each trigger, the configuration is read again. Without `triggers`, it never is.
    pub async fn run(self, stop: CancellationToken, triggers: Option<Triggers>) {
        let Self {
            live,
            tls,
            shared,
            listener,
            admin,
            reloads,
            log,
        } = self;
        let Shared {
            metrics,
            readiness,
            audit,
        } = shared.clone();
        let first = live.current();
        let server = &first.loaded.config.server;
        if first.authenticator.is_open() && server.listen.is_remote() {
            tracing::warn!(
                address = %server.listen,
                "EVERYBODY WHO CAN REACH THIS SERVER CAN DECRYPT: `insecure_without_authentication` is set and there is no \
                 section [auth]; configure one, or listen on loopback"
            );
        }
        metrics.process().watch_readiness(&readiness);
        let mut background = JoinSet::new();
        if let Some(tls) = &tls {
            background.spawn(Arc::clone(tls).watch(Arc::clone(&readiness)));
            let tls = Arc::clone(tls);
            let security = metrics.security();
            security.watch_certificate("public", move || Some(tls.expires()));
        }
        if let Some(log) = &audit {
            let (log, readiness) = (Arc::clone(log), Arc::clone(&readiness));
            background.spawn(watch_audit(log, readiness, Arc::clone(&metrics)));
        }
        let reloader = Reloader {
            live: live.clone(),
            reloads,
            shared,
            log,
        };
        background.spawn(reloader.run(triggers));

        let (close, close_admin) = (CancellationToken::new(), CancellationToken::new());
        let in_flight = InFlight::default();
        let public = Service {
            name: "public",
            router: in_flight.watch(live.router()),
            tls,
            metrics: Arc::clone(&metrics),
        };
        let serving = serve(listener, public, server, close.clone());
        // Health is answered until the end.
        let admin = admin.map(|listener| {
            let answers = answers_host(listener.address(), live.clone());
            let service = Service {
                name: "admin",
                router: admin::routes(Arc::clone(&readiness), Arc::clone(&metrics), answers),
                tls: None,
                metrics,
            };
            serve(listener, service, server, close_admin.clone())
        });

        stop.cancelled().await;
        readiness.advance(Phase::Draining);
        background.abort_all();
        let timeouts = live.current().loaded.config.server.timeouts.clone();
        // A load balancer sends requests until it notices that this server is not ready.
        let delay = timeouts.shutdown_delay;
        if !delay.is_zero() {
            tracing::info!(
                ?delay,
                "not ready any more; serving until others have noticed"
            );
            sleep(delay).await;
        }
        close.cancel();
        tracing::info!("shutting down: answering the requests in flight");
        if !finish(serving, timeouts.shutdown_grace).await {
            in_flight.give_up().await;
        }
        live.current().finish_audit();
        if let Some(log) = audit
            && let Err(error) = log.close().await
        {
            tracing::error!(%error, "the audit log does not say that the server has stopped");
        }
        close_admin.cancel();
        if let Some(admin) = admin {
            finish(admin, ADMIN_GRACE).await;
        }
        tracing::info!("stopped");
    }
}

/// Which hosts the admin listener answers. A web page of this machine can point a name to a loopback address. Elsewhere, the
/// names of the server are not known.
fn answers_host(address: &ListenAddress, live: Live) -> AnswersHost {
    let is_loopback = address.tcp().is_some() && !address.is_remote();
    Arc::new(move |uri, headers| {
        !is_loopback || live.current().app.names_no_foreign_host(uri, headers)
    })
}

/// Tells load balancers and operators whether the audit log can be written.
async fn watch_audit(log: Arc<AuditLog>, readiness: Arc<Readiness>, metrics: Arc<Metrics>) {
    let mut counted = AuditStats::default();
    metrics.security().set_audited(true);
    loop {
        let stats = log.stats();
        count_audit(&metrics, &counted, &stats);
        counted = stats;
        let refuses = log.check().is_err();
        // The reason can name a path, so it is in the log only.
        let condition = match log.problem() {
            None => Condition::Met,
            Some(_) if refuses => Condition::Unmet(
                "the audit log cannot be written, so requests are refused; the log says why".into(),
            ),
            Some(_) => Condition::Degraded(
                "the audit log cannot be written, and requests are served; the log says why".into(),
            ),
        };
        readiness.set("audit", condition);
        sleep(AUDIT_PAUSE).await;
    }
}

/// Counts what the audit log did since the last look.
fn count_audit(metrics: &Metrics, before: &AuditStats, now: &AuditStats) {
    let security = metrics.security();
    security.audit_written(now.lines.saturating_sub(before.lines));
    let missing = now.missing.saturating_sub(before.missing);
    if missing > 0 {
        security.audit_failed("not_written", missing);
    }
}

fn url(address: &ListenAddress, is_secure: bool) -> String {
    match address {
        ListenAddress::Tcp(address) if is_secure => format!("https://{address}"),
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(_) => address.to_string(),
    }
}

async fn bind(address: ListenAddress) -> Result<Listener, ServerError> {
    let bound = Listener::bind(address.clone()).await;
    bound.map_err(|source| ServerError::Listen { address, source })
}

fn serve(
    listener: Listener,
    service: Service,
    server: &ServerConfig,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let (limits, timeouts) = (server.limits.clone(), server.timeouts.clone());
    tokio::spawn(async move { http::serve(listener, service, &limits, &timeouts, stop).await })
}

/// Whether everything was answered in time.
async fn finish(serving: JoinHandle<()>, grace: Duration) -> bool {
    match timeout(grace, serving).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::error!(%error, "a listener failed"),
        Err(_) => tracing::warn!("the grace time is over; requests in flight are cut off"),
    }
    false
}

/// The requests that are worked on. They end before the audit log does, so that it has their lines.
#[derive(Clone, Default)]
struct InFlight {
    cut: CancellationToken,
    /// Each request reads.
    open: Arc<RwLock<()>>,
}

impl InFlight {
    fn watch(&self, router: Router) -> Router {
        let in_flight = self.clone();
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let in_flight = in_flight.clone();
            async move { in_flight.run(next.run(request)).await }
        }))
    }

    async fn run(&self, work: impl Future<Output = Response>) -> Response {
        let done = {
            let _open = self.open.read().await;
            tokio::select! {
                done = work => Some(done),
                () = self.cut.cancelled() => None,
            }
        };
        match done {
            Some(done) => done,
            // The process ends, and its connections with it.
            None => std::future::pending().await,
        }
    }

    /// Drops the work on every request, and waits until that is done.
    async fn give_up(&self) {
        self.cut.cancel();
        let _ = timeout(ADMIN_GRACE, self.open.write()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use temporal_kms_codec::kms::Kms;
    use temporal_kms_codec_service::{namespaces::Namespaces, settings::Fault};

    use super::*;
    use crate::config::{NamespaceConfig, NamespacesConfig, Problems};

    #[tokio::test]
    async fn every_reason_not_to_start_names_what_is_wrong_and_what_to_do() {
        let problems = Problems::of_faults([Fault::new(
            "server.admin_listen",
            "it is the address of `listen` too; choose another port",
        )]);
        let listen = ServerError::Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 8081)).into(),
            source: io::ErrorKind::AddrInUse.into(),
        };
        let mut config = NamespaceConfig::with_key("local://a".parse().unwrap());
        config.encrypt.push("local://a".parse().unwrap());
        let namespace = temporal_kms_codec::Namespace::new("prod").unwrap();
        let namespaces = NamespacesConfig::Named([(namespace, config)].into());
        let keys = Namespaces::open(&namespaces, &Kms::default()).await;
        for (error, place, remedy) in [
            (
                problems.unwrap_err().into(),
                "server.admin_listen",
                "choose another port",
            ),
            (listen, "127.0.0.1:8081", "choose another address"),
            (
                keys.unwrap_err().into(),
                "namespaces.prod: ",
                "name the folder",
            ),
        ] {
            let error: ServerError = error;
            let text = error.to_string();
            assert!(text.contains(place) && text.contains(remedy), "{text}");
        }
    }
}
