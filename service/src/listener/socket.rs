//! The listening socket: accepts connections, and empties the system's queue when it closes.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{
    address::ListenAddress,
    stream::Stream,
    unix::{self, SocketFile},
};

/// The connections that the system queues for a listener of tokio.
const MOST_QUEUED: usize = 1024;

#[derive(Debug)]
pub(super) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl ListeningSocket {
    /// Listens. The address has the port that the system picked.
    pub(super) async fn bind(address: ListenAddress) -> io::Result<(Self, ListenAddress)> {
        match address {
            ListenAddress::Tcp(address) => {
                let socket = TcpListener::bind(address).await?;
                let address = socket.local_addr()?;
                Ok((Self::Tcp(socket), address.into()))
            }
            ListenAddress::Unix(socket) => {
                let (listener, file) = unix::bind(&socket).await?;
                Ok((Self::Unix(listener, file), ListenAddress::Unix(socket)))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok(Stream::tcp(stream, peer))
            }
            Self::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                Ok(Stream::unix(stream))
            }
        }
    }

    /// Closes it, and returns the connections that the system has accepted already. They would be reset otherwise.
    pub(super) fn close(self) -> Vec<Stream> {
        let queued = match self {
            Self::Tcp(socket) => queued_tcp(socket),
            // New clients must not find the file.
            Self::Unix(socket, file) => {
                drop(file);
                queued_unix(socket)
            }
        };
        queued.unwrap_or_else(|error| {
            tracing::debug!(%error, "the queue of connections cannot be read");
            Vec::new()
        })
    }
}

fn queued_tcp(socket: TcpListener) -> io::Result<Vec<Stream>> {
    let socket = socket.into_std()?;
    let accept = || {
        let (stream, peer): (_, SocketAddr) = socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Stream::tcp(TcpStream::from_std(stream).ok()?, peer))
    };
    Ok(std::iter::from_fn(accept).take(MOST_QUEUED).collect())
}

fn queued_unix(socket: UnixListener) -> io::Result<Vec<Stream>> {
    let socket = socket.into_std()?;
    let accept = || {
        let (stream, _) = socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Stream::unix(UnixStream::from_std(stream).ok()?))
    };
    Ok(std::iter::from_fn(accept).take(MOST_QUEUED).collect())
}
