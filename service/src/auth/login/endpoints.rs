//! The endpoints of the issuer, kept for a while: a page that opens logins must not cause a call for each.

use std::{fmt, sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use super::error::LoginError;
use crate::auth::{
    issuer::{Endpoints, Issuer, IssuerError, discover},
    web::Web,
};

const MAX_AGE: Duration = Duration::from_hours(1);
const PAUSE: Duration = Duration::from_secs(10);

/// The endpoints as the issuer last said. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LoginEndpoints(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    issuer: String,
    url: Url,
    web: Web,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<(Endpoints, Instant)>,
    last_attempt: Option<Instant>,
    running: Option<Fetch>,
}

/// A discovery that goes on when its callers leave, so that a client that hangs up cannot keep others from logging in.
type Fetch = Shared<BoxFuture<'static, ()>>;

/// Where codes are exchanged.
#[derive(Clone, Debug)]
pub(super) struct TokenEndpoint {
    pub(super) url: Url,
    pub(super) takes_secret_in_form: bool,
}

impl LoginEndpoints {
    pub(super) fn new(issuer: &Issuer, web: Web) -> Self {
        let config = issuer.config();
        Self(Arc::new(Inner {
            name: issuer.name().to_owned(),
            issuer: config.issuer.clone(),
            url: config.url.clone(),
            web,
            state: Mutex::default(),
        }))
    }

    /// Whether these are the endpoints of this issuer.
    pub(super) fn are_of(&self, issuer: &Issuer) -> bool {
        let (inner, config) = (&self.0, issuer.config());
        inner.name == issuer.name() && inner.issuer == config.issuer && inner.url == config.url
    }

    /// The authorization endpoint and the token endpoint. Callers share one discovery.
    pub(super) async fn get(&self) -> Result<(Url, TokenEndpoint), LoginError> {
        if let Some(fetch) = self.fetch() {
            fetch.await;
        }
        let known = self.0.state.lock().known.clone();
        let (endpoints, _) = known.ok_or(LoginError::Unavailable)?;
        let (Some(authorization), Some(url)) = (endpoints.authorization, endpoints.token) else {
            let missing = IssuerError::Endpoint("authorization_endpoint and token_endpoint");
            self.failed(&missing);
            return Err(LoginError::Unavailable);
        };
        let token = TokenEndpoint {
            url,
            takes_secret_in_form: endpoints.takes_secret_in_form,
        };
        Ok((authorization, token))
    }

    /// The discovery that runs, or a new one. `None` when none is needed, or the last one was a moment ago.
    fn fetch(&self) -> Option<Fetch> {
        let mut state = self.0.state.lock();
        if let Some(running) = &state.running
            && running.peek().is_none()
        {
            return Some(running.clone());
        }
        let is_old = |since: Instant, age| since.elapsed() >= age;
        let is_known = state.known.as_ref();
        let is_needed = is_known.is_none_or(|(_, at)| is_old(*at, MAX_AGE));
        let may_ask = state.last_attempt.is_none_or(|at| is_old(at, PAUSE));
        if !is_needed || !may_ask {
            return None;
        }
        state.last_attempt = Some(Instant::now());
        let endpoints = self.clone();
        let task = tokio::spawn(async move { endpoints.fetch_now().await });
        let fetch = async { drop(task.await) }.boxed().shared();
        state.running = Some(fetch.clone());
        Some(fetch)
    }

    async fn fetch_now(&self) {
        let inner = &self.0;
        let found = discover(&inner.web, &inner.issuer, &inner.url).await;
        let mut state = inner.state.lock();
        match found {
            Ok(found) => state.known = Some((found, Instant::now())),
            Err(error) => self.failed(&error),
        }
        // The pause begins when the answer is there.
        state.last_attempt = Some(Instant::now());
        state.running = None;
    }

    fn failed(&self, error: &IssuerError) {
        tracing::warn!(issuer = self.0.name, %error, "the issuer's endpoints for a login are not known");
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("known", &self.known)
            .field("last_attempt", &self.last_attempt)
            .field("is_running", &self.running.is_some())
            .finish()
    }
}
