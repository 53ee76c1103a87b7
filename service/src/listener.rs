//! Accepts connections within a limit, until told to stop.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// How long to wait after a failure to accept, most likely because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The connections that the system queues for a listener of tokio.
const MOST_QUEUED: usize = 1024;

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`. With port 0, the system picks a port.
    ///
    /// # Errors
    /// When another program uses the address, or it is not an address of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that the system picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs `serve` for each connection, at most `max_connections` at a time, until `stop`. Then it accepts
    /// the connections that the system has queued, and returns when all have ended.
    pub async fn serve<F>(
        self,
        max_connections: usize,
        stop: CancellationToken,
        serve: impl Fn(TcpStream) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        // Each connection holds a sender: the channel is closed when all have ended.
        let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
        let places = Arc::new(Semaphore::new(max_connections));
        let spawn = move |stream: TcpStream, place| {
            // Answers are small and whole; waiting to fill a packet only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            let (served, open) = (serve(stream), open.clone());
            tokio::spawn(async move {
                served.await;
                drop((place, open));
            });
        };
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.socket.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            match (place, accepted) {
                (Ok(place), Ok((stream, _))) => spawn(stream, Some(place)),
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
                (Err(_), _) => break,
            }
        }
        for stream in queued(self.socket) {
            spawn(stream, None);
        }
        drop(spawn);
        let _ = all_closed.recv().await;
    }
}

/// The connections that the system has accepted already. Closing the listener would reset them.
fn queued(listener: TcpListener) -> Vec<TcpStream> {
    let listener = match listener.into_std() {
        Ok(listener) => listener,
        Err(error) => {
            tracing::debug!(%error, "the queue of connections cannot be read");
            return Vec::new();
        }
    };
    let accept = || {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    };
    std::iter::from_fn(accept).take(MOST_QUEUED).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    async fn bound() -> Listener {
        Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap()
    }

    #[tokio::test]
    async fn no_more_connections_are_served_than_allowed() {
        let listener = bound().await;
        let address = listener.address();
        let (stop, (started, mut starts)) = (CancellationToken::new(), unbounded_channel());
        let active = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&active);
        let serving = tokio::spawn(listener.serve(2, stop.clone(), move |mut stream| {
            let (active, started) = (Arc::clone(&counted), started.clone());
            async move {
                let now = active.fetch_add(1, SeqCst) + 1;
                started.send(now).unwrap();
                // Until the client leaves.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                active.fetch_sub(1, SeqCst);
            }
        }));
        for _ in 0..8 {
            drop(TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..8 {
            assert!(starts.recv().await.unwrap() <= 2);
        }
        stop.cancel();
        serving.await.unwrap();
        assert_eq!(active.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn connections_that_are_queued_when_it_stops_are_served() {
        let listener = bound().await;
        let address = listener.address();
        let (stop, served) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        stop.cancel();
        let counted = Arc::clone(&served);
        let serve = move |_| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, SeqCst);
            }
        };
        listener.serve(1, stop, serve).await;
        assert_eq!(served.load(SeqCst), clients.len());
    }
}
