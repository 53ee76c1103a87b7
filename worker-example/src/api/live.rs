//! What a reload of the configuration replaces.

use std::sync::Arc;

use temporal_kms_codec_service::{
    auth::{Authenticator, CallerId},
    settings::Problems,
    shares::Shares,
};

use super::config::ApiConfig;

/// A configuration that is served, and what was made of it.
pub(super) struct Live {
    pub(super) config: ApiConfig,
    pub(super) authenticator: Authenticator,
    pub(super) callers: Arc<Shares<CallerId>>,
}

impl Live {
    /// Opens the files that the configuration names. `before` is the configuration that is served now: what has not changed
    /// goes on, such as the keys of issuers, and the requests that a caller has already sent.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub(super) fn open(config: ApiConfig, before: Option<&Self>) -> Result<Self, Problems> {
        let opened = match before {
            Some(before) => before.authenticator.reopen(&config.auth),
            None => Authenticator::open(&config.auth),
        };
        let authenticator = opened.map_err(Problems::from_faults)?;
        let callers = before
            .filter(|before| before.config.caller == config.caller)
            .map_or_else(
                || Arc::new(Shares::new(&config.caller)),
                |before| Arc::clone(&before.callers),
            );
        Ok(Self {
            config,
            authenticator,
            callers,
        })
    }

    /// Whether only programs of this machine call, without authentication.
    pub(super) fn is_local(&self) -> bool {
        self.authenticator.is_open() && !self.config.insecure_without_authentication
    }
}
