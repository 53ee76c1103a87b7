//! The API that the proxies of a worker call.

use std::time::Duration;

use http::HeaderValue;
use reqwest::{Client, redirect::Policy};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use super::route::Route;
use crate::task::Credential;

const ANTHROPIC: &str = "https://api.anthropic.com/";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the API may send nothing. It sends pings while it thinks.
const READ_TIMEOUT: Duration = Duration::from_mins(10);

/// The API cannot be called.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum UpstreamError {
    /// The client cannot be made.
    #[error("cannot prepare HTTPS calls to the API: {0}")]
    Client(#[source] reqwest::Error),
    /// The URL is not one.
    #[error("the API's URL is not valid: {0}")]
    Url(#[source] url::ParseError),
}

/// The API.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    base: Url,
}

/// A client that calls the API for one task. Its open connections keep the credential in their buffers, so they must not outlive
/// the task.
#[derive(Debug)]
pub(super) struct ApiClient {
    client: Client,
    base: Url,
}

impl Upstream {
    /// The API at this URL, or Anthropic's.
    ///
    /// # Errors
    /// When the client cannot be made, such as without certificates of authorities.
    pub(crate) fn new(base: Option<Url>) -> Result<Self, UpstreamError> {
        let mut base = match base {
            Some(url) => url,
            None => Url::parse(ANTHROPIC).map_err(UpstreamError::Url)?,
        };
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let upstream = Self { base };
        // What fails here would fail for every task.
        upstream.client()?;
        Ok(upstream)
    }

    /// A client for one task.
    ///
    /// # Errors
    /// When it cannot be made, such as without certificates of authorities.
    pub(super) fn client(&self) -> Result<ApiClient, UpstreamError> {
        let mut client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A redirect would take the credential to another server.
            .redirect(Policy::none());
        if self.base.scheme() == "http" {
            // The API is on this machine. A proxy from a variable would get the credential unencrypted.
            client = client.no_proxy();
        }
        Ok(ApiClient {
            client: client.build().map_err(UpstreamError::Client)?,
            base: self.base.clone(),
        })
    }
}

impl ApiClient {
    /// A call of a route.
    pub(super) fn post(&self, route: Route) -> Result<reqwest::RequestBuilder, url::ParseError> {
        let mut url = self.base.join(route.path())?;
        url.set_query(Some("beta=true"));
        Ok(self.client.post(url))
    }
}

/// A caller's credential as a header of the API.
pub(super) enum ApiCredential {
    /// For `x-api-key`.
    Key(HeaderValue),
    /// For `Authorization`.
    Bearer(HeaderValue),
}

impl ApiCredential {
    /// `None` if the credential has characters that a header cannot have.
    pub(super) fn new(credential: Credential<'_>) -> Option<Self> {
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        match credential {
            Credential::ApiKey(secret) => sensitive(secret.expose()).map(Self::Key),
            Credential::OauthToken(secret) => {
                let text = Zeroizing::new(format!("Bearer {}", secret.expose()));
                sensitive(&text).map(Self::Bearer)
            }
        }
    }
}
