//! A TCP proxy to a server, for outages of the network.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Passes connections on to a server. It ends with this value.
pub(super) struct TcpProxy {
    address: SocketAddr,
    is_up: watch::Sender<bool>,
    passing: JoinHandle<()>,
}

impl TcpProxy {
    /// A proxy to `server`, on a free port.
    pub(super) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_up, watched) = watch::channel(true);
        let passing = tokio::spawn(pass(listener, server.to_owned(), watched));
        Self {
            address,
            is_up,
            passing,
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts all connections, and closes new ones. The port stays taken.
    pub(super) fn cut(&self) {
        self.is_up.send(false).unwrap();
    }

    /// Passes new connections on again.
    pub(super) fn restore(&self) {
        self.is_up.send(true).unwrap();
    }
}

async fn pass(listener: TcpListener, server: String, is_up: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut is_up) = (server.clone(), is_up.clone());
        connections.spawn(async move {
            let passing = async {
                if let Ok(mut far) = TcpStream::connect(&server).await {
                    // A side that closes its connection ends it here. It is not an error.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            };
            tokio::select! {
                biased;
                _ = is_up.wait_for(|is_up| !is_up) => {}
                () = passing => {}
            }
        });
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.passing.abort();
    }
}
