//! The handshake of one connection.

use std::io;

use rustls::{ProtocolVersion, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
pub use tokio_rustls::server::TlsStream;

use super::reload::Tls;

impl Tls {
    /// Makes a connection secure, within the handshake's time.
    ///
    /// # Errors
    /// When the client is too slow, or client and server do not agree.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(self.config()).accept(stream);
        timeout(self.handshake_timeout(), handshake)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// What a handshake agreed on.
pub trait Agreed {
    /// Whether the client chose HTTP/2.
    fn is_http2(&self) -> bool;
    /// The client's certificate, which was verified.
    fn client_certificate(&self) -> Option<&CertificateDer<'static>>;
    /// The version of TLS, as in logs.
    fn version(&self) -> &'static str;
}

impl<S> Agreed for TlsStream<S> {
    fn is_http2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.get_ref().1.peer_certificates()?.first()
    }

    fn version(&self) -> &'static str {
        match self.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "unknown",
        }
    }
}
