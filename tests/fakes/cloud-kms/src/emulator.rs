//! A running emulator.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Call, Canned, Fault, model::Store, serve, shared::Shared};

/// How the emulator starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: a loopback address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// A file that holds all keys, in the clear, from one start to the next.
    pub state: Option<PathBuf>,
    /// The faults in force from the start.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            faults: Vec::new(),
        }
    }
}

/// A running emulator. Dropping it closes every connection.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Emulator {
    /// Starts it within the current tokio runtime.
    ///
    /// # Errors
    /// When the address is not a loopback one or cannot be bound, or the state file cannot be read.
    pub async fn start(options: Options) -> io::Result<Self> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it authenticates nobody and listens on loopback addresses only",
            ));
        }
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::open(options.state)?),
            faults: Mutex::new(options.faults),
            canned: Mutex::default(),
            journal: Mutex::default(),
        });
        let listener = TcpListener::bind(options.listen).await?;
        Ok(Self {
            address: listener.local_addr()?,
            task: tokio::spawn(serve::serve(listener, Arc::clone(&shared))),
            shared,
        })
    }

    /// `http://ADDRESS:PORT`, the endpoint for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces the faults in force.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.shared.faults.lock() = faults.into_iter().collect();
    }

    /// Answers every call with this from now on. `None` performs calls again.
    pub fn answer_everything_with(&self, answer: impl Into<Option<Canned>>) {
        *self.shared.canned.lock() = answer.into();
    }

    /// The calls of the service's methods so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.journal.lock().calls()
    }

    /// Sets its clock forward, by whole seconds. Keys rotate and versions are destroyed when they are due.
    pub fn advance(&self, time: Duration) {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.shared.store.lock().advance(seconds);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
