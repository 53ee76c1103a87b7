//! Asks the issuers of a configuration: for a diagnosis.

use super::{
    config::AuthConfig,
    examined::{ExaminedIssuer, ExaminedLogin},
    issuer,
    web::Web,
};
use crate::settings::Fault;

impl AuthConfig {
    /// Asks each issuer for its documents.
    ///
    /// # Errors
    /// When `[auth.http]` cannot be used.
    pub async fn examine_issuers(&self) -> Result<Vec<ExaminedIssuer>, Fault> {
        let web = Web::open(&self.web)?;
        let asked = self.issuers.iter().map(|(name, config)| {
            let login = self.login.as_ref();
            let is_login = login.is_some_and(|login| login.issuer == *name);
            issuer::examine(&web, name, config, is_login)
        });
        Ok(futures::future::join_all(asked).await)
    }

    /// How people sign in with a browser, if they can.
    #[must_use]
    pub fn examine_login(&self) -> Option<ExaminedLogin> {
        self.login.as_ref().map(super::login::LoginConfig::examined)
    }
}
