//! What is known of a connection before its first request.

use std::sync::Arc;

use temporal_kms_codec_service::{auth::ClientCertificate, listener::Peer};

/// Who is at the other end. Every request of the connection has it in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo(Arc<Info>);

#[derive(Debug)]
struct Info {
    peer: Peer,
    is_secure: bool,
    certificate: Option<ClientCertificate>,
}

impl ConnectionInfo {
    pub(super) fn plain(peer: Peer) -> Self {
        Self(Arc::new(Info {
            peer,
            is_secure: false,
            certificate: None,
        }))
    }

    pub(super) fn secure(peer: Peer, certificate: Option<ClientCertificate>) -> Self {
        Self(Arc::new(Info {
            peer,
            is_secure: true,
            certificate,
        }))
    }

    /// The other end, as the system says.
    pub(crate) fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Whether it is a connection of TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.is_secure
    }

    /// The client's certificate, which was verified.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.0.certificate.as_ref()
    }
}
