//! Accepts connections within a limit, until told to stop.

mod address;
mod socket;
mod stream;
pub mod unix;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub use address::{ListenAddress, parse, parse_tcp};
use socket::ListeningSocket;
pub use stream::{Peer, Stream};
pub use unix::UnixSocket;

/// How long to wait after a failure to accept, most likely because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: ListeningSocket,
    address: ListenAddress,
}

impl Listener {
    /// Listens on `address`. With port 0, the system picks a port.
    ///
    /// # Errors
    /// When another program uses the address, it is not an address of this machine, or the socket's file cannot be made.
    pub async fn bind(address: impl Into<ListenAddress>) -> io::Result<Self> {
        let (socket, address) = ListeningSocket::bind(address.into()).await?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that the system picked.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Runs `serve` for each connection, at most `max_connections` at a time, until `stop`. Then it accepts
    /// the connections that the system has queued, and returns when all have ended.
    pub async fn serve<F>(
        self,
        max_connections: usize,
        stop: CancellationToken,
        serve: impl Fn(Stream) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        // Each connection holds a sender: the channel is closed when all have ended.
        let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
        let places = Arc::new(Semaphore::new(max_connections));
        let spawn = move |stream: Stream, place| {
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
                (Ok(place), Ok(stream)) => spawn(stream, Some(place)),
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
                (Err(_), _) => break,
            }
        }
        for stream in self.socket.close() {
            spawn(stream, None);
        }
        drop(spawn);
        let _ = all_closed.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use tokio::sync::mpsc::unbounded_channel;

    use tokio::net::{TcpStream, UnixStream};

    use super::*;

    async fn bound() -> (Listener, SocketAddr) {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(local).await.unwrap();
        let address = listener.address().tcp().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn no_more_connections_are_served_than_allowed() {
        let (listener, address) = bound().await;
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
        let (listener, address) = bound().await;
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

    #[tokio::test]
    async fn a_client_at_a_unix_socket_has_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let socket = ListenAddress::Unix(UnixSocket::at(path.clone()));
        let listener = Listener::bind(socket).await.unwrap();
        let (stop, (seen, mut peers)) = (CancellationToken::new(), unbounded_channel());
        let serving = tokio::spawn(listener.serve(1, stop.clone(), move |stream: Stream| {
            seen.send(stream.peer().clone()).unwrap();
            async {}
        }));
        let _client = UnixStream::connect(&path).await.unwrap();
        let ours = nix::unistd::getuid().as_raw();
        let Some(Peer::Unix { user, .. }) = peers.recv().await else {
            panic!("not a Unix socket");
        };
        assert_eq!(user, Some(ours));
        stop.cancel();
        serving.await.unwrap();
        assert!(!path.exists());
    }
}
