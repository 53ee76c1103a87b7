//! The server: listeners, readiness and the order in which it all starts and stops.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, response::Response};
use futures::future::{BoxFuture, FutureExt as _};
use temporal_kms_codec_service::{
    admin::{self, AnswersHost, Unwritable},
    auth::Authenticator,
    connection::Handler,
    lifecycle::{Phase, Readiness, Reloads, Triggers, finish, serve_until_noticed},
    listener::{ListenAddress, Listener},
    log::LogControl,
    reload_report::ReloadReport,
    telemetry::Metrics,
    tls::Tls,
};
use tokio::{
    sync::RwLock,
    task::{JoinHandle, JoinSet},
    time::timeout,
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

const UNWRITABLE: Unwritable = Unwritable {
    refuses: "so requests are refused",
    continues: "and requests are served",
};

/// For a request to the admin address that names another host.
const HOST_REMEDY: &str = "use one of them, or a name in `allowed_hosts` of section [server]";

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
        self.address().url(self.tls.is_some())
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are answered, as a URL.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        let admin = self.admin.as_ref()?;
        Some(admin.address().url(false))
    }

    /// What requests are answered with.
    pub(crate) fn live(&self) -> &Live {
        &self.live
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
        } = shared;
        let first = live.current();
        let server = &first.loaded.config.server;
        warn_if_open(&first.authenticator, &server.listen);
        metrics.watch_readiness(&readiness);
        let mut background = JoinSet::new();
        if let Some(tls) = &tls {
            background.spawn(Arc::clone(tls).watch(Arc::clone(&readiness)));
            let tls = Arc::clone(tls);
            let security = metrics.security();
            security.watch_certificate("public", move || Some(tls.expires()));
        }
        if let Some(log) = &audit {
            let (log, readiness) = (Arc::clone(log), Arc::clone(&readiness));
            background.spawn(admin::watch_audit(
                log,
                readiness,
                Arc::clone(&metrics),
                UNWRITABLE,
            ));
        }
        let reloader = Reloader {
            live: live.clone(),
            report: ReloadReport::new(
                reloads,
                Arc::clone(&readiness),
                Arc::clone(&metrics),
                audit.clone(),
            ),
            log,
        };
        background.spawn(reloader.run(triggers));

        let (close, close_admin) = (CancellationToken::new(), CancellationToken::new());
        let in_flight = Arc::new(InFlight::default());
        let public = Service {
            name: "public",
            handler: Arc::new(Public {
                live: live.clone(),
                in_flight: Arc::clone(&in_flight),
            }),
            tls,
            metrics: Arc::clone(&metrics),
        };
        let serving = serve(listener, public, server, close.clone());
        // Health is answered until the end.
        let admin = admin.map(|listener| {
            let answers = answers_host(listener.address(), live.clone());
            let routes = admin::routes(
                Arc::clone(&readiness),
                Arc::clone(&metrics),
                answers,
                HOST_REMEDY,
            );
            let service = Service {
                name: "admin",
                handler: Arc::new(routes),
                tls: None,
                metrics,
            };
            serve(listener, service, server, close_admin.clone())
        });
        // It has the first configuration's keys, which a reload may remove.
        drop(first);

        stop.cancelled().await;
        readiness.advance(Phase::Draining);
        background.abort_all();
        let timeouts = live.current().loaded.config.server.timeouts.clone();
        serve_until_noticed(timeouts.shutdown_delay).await;
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

/// An operator must see that this server decrypts for everybody.
fn warn_if_open(authenticator: &Authenticator, listen: &ListenAddress) {
    if authenticator.is_open() && listen.is_remote() {
        tracing::warn!(
            address = %listen,
            "EVERYBODY WHO CAN REACH THIS SERVER CAN DECRYPT: `insecure_without_authentication` is set and there is no \
             section [auth]; configure one, or listen on loopback"
        );
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

/// What clients call: it answers each request with the configuration of its moment.
struct Public {
    live: Live,
    in_flight: Arc<InFlight>,
}

impl Handler for Public {
    fn handle(&self, request: Request) -> BoxFuture<'static, Response> {
        let (generation, in_flight) = (self.live.current(), Arc::clone(&self.in_flight));
        async move { in_flight.run(generation.answer(request)).await }.boxed()
    }
}

/// The requests that are worked on. They end before the audit log does, so that it has their lines.
#[derive(Default)]
struct InFlight {
    cut: CancellationToken,
    /// Each request reads.
    open: RwLock<()>,
}

impl InFlight {
    async fn run(&self, work: impl Future<Output = Response>) -> Response {
        let done = {
            let _open = self.open.read().await;
            tokio::select! {
                // Work that ends at once waits for nothing.
                biased;
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
                "set TEMPORAL_CODEC_KEYRING",
            ),
        ] {
            let error: ServerError = error;
            let text = error.to_string();
            assert!(text.contains(place) && text.contains(remedy), "{text}");
        }
    }
}
