//! The endpoints of the issuer, kept for a while: a page that opens logins must not cause a call for each.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::error::LoginError;
use crate::auth::{
    issuer::{Endpoints, Issuer, IssuerError, discover},
    web::Web,
};

const MAX_AGE: Duration = Duration::from_hours(1);
const PAUSE: Duration = Duration::from_secs(10);

/// The endpoints as the issuer last said.
#[derive(Debug, Default)]
pub(super) struct LoginEndpoints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<(Endpoints, Instant)>,
    last_attempt: Option<Instant>,
}

/// Where codes are exchanged.
#[derive(Clone, Debug)]
pub(super) struct TokenEndpoint {
    pub(super) url: Url,
    pub(super) takes_secret_in_form: bool,
}

impl LoginEndpoints {
    /// The authorization endpoint and the token endpoint. Callers wait for each other.
    pub(super) async fn get(
        &self,
        web: &Web,
        issuer: &Issuer,
    ) -> Result<(Url, TokenEndpoint), LoginError> {
        let mut state = self.0.lock().await;
        let is_old = |since: Instant, age| since.elapsed() >= age;
        let needs_fetch = state
            .known
            .as_ref()
            .is_none_or(|(_, at)| is_old(*at, MAX_AGE));
        if needs_fetch && state.last_attempt.is_none_or(|at| is_old(at, PAUSE)) {
            state.last_attempt = Some(Instant::now());
            let config = issuer.config();
            match discover(web, &config.issuer, &config.url).await {
                Ok(found) => state.known = Some((found, Instant::now())),
                Err(error) => failed(issuer.name(), &error),
            }
        }
        let (endpoints, _) = state.known.as_ref().ok_or(LoginError::Unavailable)?;
        let (Some(authorization), Some(token)) = (&endpoints.authorization, &endpoints.token)
        else {
            let missing = IssuerError::Endpoint("authorization_endpoint and token_endpoint");
            failed(issuer.name(), &missing);
            return Err(LoginError::Unavailable);
        };
        let token = TokenEndpoint {
            url: token.clone(),
            takes_secret_in_form: endpoints.takes_secret_in_form,
        };
        Ok((authorization.clone(), token))
    }
}

fn failed(issuer: &str, error: &IssuerError) {
    tracing::warn!(issuer, %error, "the issuer's endpoints for a login are not known");
}
