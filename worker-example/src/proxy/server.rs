//! The proxy's server: it listens as long as the task runs.

use std::{
    convert::Infallible,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
};
use zeroize::Zeroizing;

use super::{
    budget::ProxyLimits,
    forward::Forwarder,
    listen::{accept, http},
    socket::SocketFolder,
    token::Token,
    upstream::{ApiCredential, Upstream},
};
use crate::task::Credential;

/// What Claude Code puts into the header `Host`. All its calls of the API go to the socket.
const HOST: &str = "http://localhost";

/// A running proxy. Dropping it ends all its connections.
pub(crate) struct Proxy {
    folder: SocketFolder,
    variable: &'static str,
    token: Zeroizing<String>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a socket below `workdir`, for the worker's user or for the user with this id.
    ///
    /// # Errors
    /// When the socket cannot be created, or the credential cannot be sent in a header.
    pub(crate) fn start(
        upstream: &Upstream,
        limits: &ProxyLimits,
        credential: Credential<'_>,
        workdir: &Path,
        owner: Option<u32>,
    ) -> io::Result<Self> {
        let variable = credential.variable();
        let field = credential.field();
        let credential = ApiCredential::new(credential).ok_or_else(|| {
            let problem = format!("{field} has characters that a credential cannot have");
            io::Error::new(io::ErrorKind::InvalidInput, problem)
        })?;
        let folder = SocketFolder::create(workdir, owner)?;
        let listener = folder.listen(owner)?;
        let token = Token::random();
        let shown = Zeroizing::new(token.expose().to_owned());
        let connections = limits.connections;
        let forwarder = Arc::new(Forwarder::new(
            token,
            credential,
            upstream.client().map_err(io::Error::other)?,
            limits.clone(),
        ));
        Ok(Self {
            folder,
            variable,
            token: shown,
            serving: tokio::spawn(serve(listener, forwarder, connections)),
        })
    }

    /// The socket.
    #[must_use]
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.socket()
    }

    /// The variables by which Claude Code uses the proxy.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `ANTHROPIC_UNIX_SOCKET` | the socket of the credential proxy. The worker sets it for Claude Code |
    #[must_use]
    pub(crate) fn environment(&self) -> [(&'static str, Zeroizing<String>); 3] {
        let socket = self.socket().to_string_lossy().into_owned();
        [
            ("ANTHROPIC_BASE_URL", Zeroizing::new(HOST.to_owned())),
            ("ANTHROPIC_UNIX_SOCKET", Zeroizing::new(socket)),
            (self.variable, self.token.clone()),
        ]
    }
}

/// Without the token.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("socket", &self.socket())
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // This drops the connections and the credential, too.
        self.serving.abort();
    }
}

async fn serve(listener: UnixListener, forwarder: Arc<Forwarder>, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                // Without a place the connection is closed, and Claude Code tries again.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    running.spawn(connection(stream, Arc::clone(&forwarder), place));
                }
            }
            Some(_) = running.join_next() => {}
        }
    }
}

async fn connection(stream: UnixStream, forwarder: Arc<Forwarder>, place: OwnedSemaphorePermit) {
    let service = service_fn(move |call| {
        let forwarder = Arc::clone(&forwarder);
        async move { Ok::<_, Infallible>(forwarder.answer(call).await) }
    });
    let served = http().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a task ended early");
    }
    drop(place);
}
