//! What a request carries to prove who sent it.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{certificate::ClientCertificate, cookie, refused::Refused};

/// The Web UI sends its ID token here, without a scheme.
pub const AUTHORIZATION_EXTRAS: HeaderName = HeaderName::from_static("authorization-extras");

/// The proofs of one request. Its `Debug` output shows which ones there are and none of their bytes.
#[derive(Clone, Copy, Default)]
pub struct Presented<'r> {
    pub(super) authorization: Option<&'r HeaderValue>,
    pub(super) extras: Option<&'r HeaderValue>,
    pub(super) session: Option<&'r str>,
    pub(super) certificate: Option<&'r ClientCertificate>,
    pub(super) peer: Option<UnixPeer>,
}

/// The process at the other end of a Unix socket, as the kernel says (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// The number of its user.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

impl<'r> Presented<'r> {
    /// The proofs in a request's headers.
    ///
    /// # Errors
    /// When a header or the session's cookie is there twice: two readers could disagree about which one counts.
    pub fn in_headers(headers: &'r HeaderMap) -> Result<Self, Refused> {
        Ok(Self {
            authorization: single(headers, &header::AUTHORIZATION, "the header Authorization")?,
            extras: single(
                headers,
                &AUTHORIZATION_EXTRAS,
                "the header Authorization-Extras",
            )?,
            session: cookie::find(headers, cookie::SESSION)?,
            certificate: None,
            peer: None,
        })
    }

    /// Adds the client's certificate, which TLS has verified against the configured authorities.
    #[must_use]
    pub fn with_certificate(self, certificate: Option<&'r ClientCertificate>) -> Self {
        Self {
            certificate,
            ..self
        }
    }

    /// Adds the peer of the Unix socket that the request came through.
    #[must_use]
    pub fn with_peer(self, peer: Option<UnixPeer>) -> Self {
        Self { peer, ..self }
    }
}

fn single<'r>(
    headers: &'r HeaderMap,
    name: &HeaderName,
    what: &'static str,
) -> Result<Option<&'r HeaderValue>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refused::repeated(what)),
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("authorization", &self.authorization.is_some())
            .field("extras", &self.extras.is_some())
            .field("session", &self.session.is_some())
            .field("certificate", &self.certificate)
            .field("peer", &self.peer)
            .finish()
    }
}
