//! What is known of a connection before its first request.

use std::sync::Arc;

use crate::{
    auth::{ClientCertificate, Presented, UnixPeer},
    listener::Peer,
};

/// Who is at the other end. Every request of the connection has it in its extensions.
#[derive(Clone, Debug)]
pub struct ConnectionInfo(Arc<Info>);

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
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Whether it is a connection of TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.is_secure
    }

    /// The client's certificate, which was verified.
    #[must_use]
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.0.certificate.as_ref()
    }

    /// Adds what the connection proves of the caller: the certificate, or the user at the other end of a Unix socket.
    #[must_use]
    pub fn present<'r>(&'r self, presented: Presented<'r>) -> Presented<'r> {
        let peer = match self.peer() {
            Peer::Unix {
                user: Some(uid),
                group: Some(gid),
            } => Some(UnixPeer {
                uid: *uid,
                gid: *gid,
            }),
            _ => None,
        };
        presented
            .with_certificate(self.certificate())
            .with_peer(peer)
    }
}
