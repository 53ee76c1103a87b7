//! A way to a server that can be closed.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes connections on to a server. It ends with this value.
pub(super) struct Way {
    address: SocketAddr,
    passing: JoinHandle<()>,
}

impl Way {
    /// A way to `server`. With port 0, the system picks a port.
    pub(super) async fn open(server: &str, port: u16) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let passing = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(&server).await {
                        // A side that closes its connection ends it here. It is not an error.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, passing }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Closes it with all its connections. Returns its port.
    pub(super) async fn close(mut self) -> u16 {
        self.passing.abort();
        assert!((&mut self.passing).await.unwrap_err().is_cancelled());
        self.address.port()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.passing.abort();
    }
}
