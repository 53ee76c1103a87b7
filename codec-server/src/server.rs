//! The server: listeners, readiness and the order in which it all starts and stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Problems, ServerConfig},
    http::{self, App},
    namespaces::{Namespaces, OpenError},
    readiness::{Readiness, State},
};

/// For health requests that are being answered when everything else is done.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot work.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// A key or a setting of a namespace cannot be used.
    #[error(transparent)]
    Keys(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// A server whose keys are open and whose addresses are taken, ready to run.
#[derive(Debug)]
pub struct Server {
    config: Config,
    namespaces: Arc<Namespaces>,
    listener: Listener,
    admin: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the keys and takes the addresses. Port 0 is one that the system picks.
    ///
    /// # Errors
    /// When the configuration cannot work, a key cannot be opened or an address is taken.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        config.validate()?;
        let namespaces = Namespaces::open(&config.namespaces, &config.keys)
            .await?
            .with_path_prefixes(config.server.path_prefixes.clone());
        let listener = Listener::bind(config.server.listen).await?;
        let admin = match config.server.admin_listen {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        Ok(Self {
            config,
            namespaces: Arc::new(namespaces),
            listener,
            admin,
        })
    }

    /// Where clients call.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Where health is asked for.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Serves until `stop` is cancelled. From then on `/readyz` answers 503, and after
    /// [`shutdown_delay`](crate::config::Timeouts::shutdown_delay) no new connection is taken. What is in flight is
    /// answered, for as long as the grace time lasts.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            config: Config { server, cors, .. },
            namespaces,
            listener,
            admin,
        } = self;
        let readiness = Readiness::new();
        let keys = tokio::spawn(Arc::clone(&readiness).watch_keys(Arc::clone(&namespaces)));

        let app = Arc::new(App::new(namespaces, &server, cors));
        let (close, close_admin) = (CancellationToken::new(), CancellationToken::new());
        let serving = listener.serve(http::service(app), &server, close.clone());
        // Health is answered to the very end.
        let admin = admin.map(|admin| {
            let service = http::admin(Arc::clone(&readiness));
            admin.serve(service, &server, close_admin.clone())
        });

        stop.cancelled().await;
        readiness.advance(State::Draining);
        keys.abort();
        // A load balancer sends requests until it has seen that this server is not ready.
        let delay = server.timeouts.shutdown_delay;
        if !delay.is_zero() {
            tracing::info!(
                ?delay,
                "not ready any more; serving until others have noticed"
            );
            sleep(delay).await;
        }
        close.cancel();
        tracing::info!("shutting down: answering the requests in flight");
        finish(serving, server.timeouts.shutdown_grace).await;
        close_admin.cancel();
        if let Some(admin) = admin {
            finish(admin, ADMIN_GRACE).await;
        }
        tracing::info!("stopped");
    }
}

impl Listener {
    async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    fn serve<S: http::Serve>(
        self,
        service: S,
        server: &ServerConfig,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        let (limits, timeouts) = (server.limits.clone(), server.timeouts.clone());
        tokio::spawn(
            async move { http::serve(self.socket, service, &limits, &timeouts, stop).await },
        )
    }
}

async fn finish(serving: JoinHandle<()>, grace: Duration) {
    match timeout(grace, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a listener failed"),
        Err(_) => tracing::warn!("the time to finish is over; requests in flight are cut off"),
    }
}
