//! Why a request is not from a known caller.

use http::{HeaderValue, StatusCode};
use thiserror::Error;

/// A request without a valid proof of who sent it. Its texts are for the caller. They hold nothing of the proof.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no proof at all.
    #[error("sign in first: the request has no credentials that this server knows. {remedy}")]
    Missing {
        /// What this server accepts.
        remedy: &'static str,
    },
    /// A header or a cookie is there more than once, or cannot be read.
    #[error("{what} {problem}")]
    Malformed {
        /// The header or the cookie.
        what: &'static str,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// A token is not valid.
    #[error("{0}")]
    Token(#[from] TokenFault),
    /// The session in the cookie has ended, or is not one of this server.
    #[error("your session at this server has ended; sign in again")]
    Session,
    /// The certificate has no name that the configuration knows.
    #[error(
        "this client certificate is not in this server's configuration. Ask an administrator to add one of its names to [auth.certificates]"
    )]
    Certificate,
    /// The certificate has expired since the connection was made.
    #[error("this client certificate has expired; connect again with a new one")]
    ExpiredCertificate,
    /// The user at the other end of the socket has no number here.
    #[error(
        "this server cannot see which user is at its socket, because it runs in another user namespace. Ask an administrator to run it without one (PrivateUsers=no in systemd)"
    )]
    UnmappedPeer,
    /// The user at the other end of the socket is not in the configuration.
    #[error(
        "this user may not use this server's socket. Ask an administrator to add it to [auth.peers]"
    )]
    Peer,
    /// The issuer's keys cannot be fetched, and none are known: 503.
    #[error(
        "the issuer of this token cannot be reached, so the token cannot be checked; try again later"
    )]
    Unavailable,
}

/// Why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is neither a token of the configuration nor a JWT.
    #[error(
        "the token is neither one of the configuration nor a JWT of a known issuer. Send an access token or an ID token that this server accepts"
    )]
    Unknown,
    /// It is longer than any token.
    #[error("the token is too long; send one with fewer claims")]
    TooLong,
    /// It is a JWT that cannot be read.
    #[error("the token cannot be read as a signed JWT; sign in again")]
    Malformed,
    /// Its header has `crit`, so that it must not be used by programs that do not know what it lists.
    #[error(
        "the token needs an extension (crit) that this server does not know; send another token"
    )]
    Critical,
    /// It is signed with an algorithm that is not allowed, or that does not fit the key.
    #[error(
        "the token is signed with an algorithm that is not allowed for its issuer; sign in again, or ask an administrator"
    )]
    Algorithm,
    /// The configuration does not have its issuer.
    #[error(
        "the token is from an issuer that this server does not know; sign in with another account"
    )]
    Issuer,
    /// The issuer has no key with this id.
    #[error("the token is signed with a key that its issuer does not publish; sign in again")]
    Key,
    /// The signature is wrong.
    #[error("the token's signature is not valid; sign in again")]
    Signature,
    /// It is for another service.
    #[error(
        "the token is for another service: its audience does not name this server. Send a token that was made for this server"
    )]
    Audience,
    /// It has expired.
    #[error("the token has expired; sign in again, or ask an administrator for a new token")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet; check the clocks of the issuer and of this server")]
    NotYetValid,
    /// A claim is missing or has another type.
    #[error("the token's claim `{0}` is missing or cannot be read; sign in again")]
    Claim(&'static str),
    /// A name is there twice.
    #[error("the token has a claim twice; sign in again")]
    Duplicate,
    /// It belongs to another login than the one that it came with.
    #[error("the token belongs to another login; sign in again")]
    Nonce,
}

impl Refused {
    pub(super) fn repeated(what: &'static str) -> Self {
        let problem = "is there more than once; send it once";
        Self::Malformed { what, problem }
    }

    pub(super) fn unreadable(what: &'static str, problem: &'static str) -> Self {
        Self::Malformed { what, problem }
    }

    /// 401, or 503 when the issuer cannot be reached.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The header `WWW-Authenticate` of the answer (RFC 6750, section 3).
    #[must_use]
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Token(_) => "Bearer realm=\"codec-server\", error=\"invalid_token\"",
            _ => "Bearer realm=\"codec-server\"",
        })
    }

    /// A short fixed word for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Malformed { .. } => "malformed",
            Self::Token(fault) => fault.label(),
            Self::Session => "session",
            Self::Certificate => "certificate",
            Self::ExpiredCertificate => "expired-certificate",
            Self::Peer => "peer",
            Self::UnmappedPeer => "unmapped-peer",
            Self::Unavailable => "issuer-unavailable",
        }
    }
}

impl TokenFault {
    const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-token",
            Self::TooLong => "too-long",
            Self::Malformed => "malformed-token",
            Self::Critical => "critical-header",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Key => "unknown-key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Claim(_) => "claim",
            Self::Duplicate => "duplicate",
            Self::Nonce => "nonce",
        }
    }
}
