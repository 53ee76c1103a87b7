use std::{net::SocketAddr, sync::Arc};

use dev_servers::certificates::Authority;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// TLS in front of a server that speaks none, as a load balancer does. Browsers treat `http` and `https` pages of one
/// host as different sites, and send no cookies between them.
#[derive(Debug)]
pub(crate) struct TlsFront {
    url: String,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Listens at `https://localhost`, and passes connections on to `behind`.
    pub(crate) async fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = acceptor();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), stream, behind));
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            task,
        }
    }

    /// The URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A browser that closes a connection ends it here. It is not an error.
async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

fn acceptor() -> TlsAcceptor {
    let authority = Authority::new("front").expect("an authority");
    let certified = authority.server(&["localhost"]).expect("a certificate");
    let certificate = CertificateDer::from_pem_slice(certified.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.expect("a certificate")],
            key.expect("a key"),
        )
        .expect("a key that fits");
    TlsAcceptor::from(Arc::new(config))
}
