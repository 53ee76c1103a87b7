//! The egress proxy of a task: a forward proxy for HTTP (`CONNECT`, and requests with an absolute `http://` URL). A task whose
//! network is on has a network namespace of its own, and this proxy as its only way out. The proxy looks names up itself,
//! refuses addresses that are not public and services that the worker knows, and connects to the address that it checked.

mod activity;
mod closed;
mod policy;
mod refusal;
mod relay;
mod target;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    net::UnixListener,
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

use self::relay::{Relay, RelayLimits};
use super::{listen::accept, socket::SocketFolder};
use crate::task::TaskId;

pub(crate) use closed::ClosedPlace;
pub(crate) use policy::{EgressPolicy, EgressSettings};

/// A running proxy. Dropping it ends all its connections.
#[derive(Debug)]
pub(crate) struct EgressProxy {
    folder: SocketFolder,
    relay: Arc<Relay>,
    serving: JoinHandle<()>,
}

impl EgressProxy {
    /// Listens on a socket below `workdir`, for the worker's user or for the user with this id.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub(crate) fn start(
        policy: &Arc<EgressPolicy>,
        task: &TaskId,
        workdir: &Path,
        owner: Option<u32>,
    ) -> io::Result<Self> {
        Self::with_limits(policy, task, workdir, owner, RelayLimits::default())
    }

    fn with_limits(
        policy: &Arc<EgressPolicy>,
        task: &TaskId,
        workdir: &Path,
        owner: Option<u32>,
        limits: RelayLimits,
    ) -> io::Result<Self> {
        let folder = SocketFolder::create(workdir, owner)?;
        let listener = folder.listen(owner)?;
        let relay = Arc::new(Relay::new(Arc::clone(policy), task.clone(), limits));
        Ok(Self {
            folder,
            serving: tokio::spawn(serve(listener, Arc::clone(&relay), limits.connections)),
            relay,
        })
    }

    /// The socket.
    #[must_use]
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.socket()
    }
}

impl Drop for EgressProxy {
    fn drop(&mut self) {
        // This drops the connections, too.
        self.serving.abort();
        self.relay.sum_up();
    }
}

async fn serve(listener: UnixListener, relay: Arc<Relay>, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    let mut running = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = accept(&listener).await;
        while running.try_join_next().is_some() {}
        let relay = Arc::clone(&relay);
        running.spawn(async move {
            relay.serve(stream).await;
            drop(place);
        });
    }
}
