//! HTTP calls to issuers, with limits on time and size.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use reqwest::{Certificate, Client, Proxy, RequestBuilder, StatusCode, header, redirect::Policy};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::settings::{Fault, Section, values};

/// No document of an issuer is larger.
const MOST_BYTES: usize = 512 << 10;
/// No file of certificates is larger. The list of Mozilla's authorities has about 220 KiB.
const MOST_CERTIFICATES: u64 = 4 << 20;

/// `[auth.http]`: how issuers are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebConfig {
    /// `timeout`: for a whole call. Default: 5 s.
    timeout: Duration,
    /// `proxy`: the proxy of all calls. Default: that of the variables.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | the proxy on the way to a key service, or to an issuer of `[auth]` |
    proxy: Option<Url>,
    /// `ca_file`: authorities in PEM beside those of the system.
    ca_file: Option<PathBuf>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            proxy: None,
            ca_file: None,
        }
    }
}

impl WebConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let mut web = Self::default();
        section.set("timeout", &mut web.timeout, values::timeout);
        section.set_text("proxy", &mut web.proxy, proxy);
        section.set_text("ca_file", &mut web.ca_file, values::absolute_path);
        section.finish();
        web
    }
}

fn proxy(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok();
    let is_proxy = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let url = url
        .filter(is_proxy)
        .ok_or("expected the URL of a proxy, such as http://proxy.example.com:3128")?;
    if url.password().is_some() {
        return Err(
            "it must hold no password; set HTTPS_PROXY to a URL with a password".to_owned(),
        );
    }
    Ok(url)
}

/// Calls issuers. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Web(Client);

/// A call that failed. Its text holds nothing of the answer.
#[derive(Debug, Error)]
pub(super) enum WebError {
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: &'static str },
    #[error("{host} answered {status}")]
    Status { host: String, status: StatusCode },
    #[error("the answer of {host} is larger than 512 KiB")]
    TooLarge { host: String },
    #[error("the answer of {host} is not the expected JSON")]
    NotJson { host: String },
}

impl WebError {
    /// Whether the same call may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLarge { .. } | Self::NotJson { .. } => false,
        }
    }
}

impl Web {
    /// A client with the settings of the configuration.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub(super) fn open(config: &WebConfig) -> Result<Self, Fault> {
        let agent = concat!("temporal-kms-codec/", env!("CARGO_PKG_VERSION"));
        let mut client = Client::builder()
            .timeout(config.timeout)
            .redirect(Policy::none())
            .user_agent(agent);
        if let Some(path) = &config.ca_file {
            let fault = |message| Fault::new("auth.http.ca_file", message);
            let authorities = authorities(path).map_err(fault)?;
            client = client.tls_certs_merge(authorities);
        }
        if let Some(url) = &config.proxy {
            let proxy = Proxy::all(url.clone())
                .map_err(|_| Fault::new("auth.http.proxy", "expected the URL of a proxy"))?;
            client = client.proxy(proxy);
        }
        let client = client.build().map_err(|_| {
            let message = "TLS cannot be set up; check ca_file and the system's certificates";
            Fault::new("auth.http", message)
        })?;
        Ok(Self(client))
    }

    /// A JSON document.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, WebError> {
        let (document, _) = self.get_dated(url).await?;
        Ok(document)
    }

    /// A JSON document, and when the server says that it was sent.
    pub(super) async fn get_dated<T: DeserializeOwned>(
        &self,
        url: &Url,
    ) -> Result<(T, Option<SystemTime>), WebError> {
        self.call(url, self.0.get(url.clone())).await
    }

    /// Posts a form to a token endpoint.
    pub(super) async fn post_form<T: DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        basic: Option<(&str, &Secret)>,
    ) -> Result<T, WebError> {
        // The serializer cannot be sent to another thread, so it must not live while this waits.
        let body = {
            let mut body = url::form_urlencoded::Serializer::new(String::new());
            body.extend_pairs(form).finish()
        };
        let mut request = self
            .0
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        if let Some((user, password)) = basic {
            // Both are encoded as in a form first (RFC 6749, section 2.3.1).
            let encode = |text: &str| {
                url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
            };
            let password = Zeroizing::new(encode(password.expose()));
            request = request.basic_auth(encode(user), Some(password.as_str()));
        }
        let (document, _) = self.call(url, request).await?;
        Ok(document)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<(T, Option<SystemTime>), WebError> {
        let host = || url.host_str().unwrap_or_default().to_owned();
        let unreachable = |error: reqwest::Error| WebError::Unreachable {
            host: host(),
            reason: reason(&error),
        };
        let request = request.header(header::ACCEPT, "application/json");
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(WebError::Status {
                host: host(),
                status,
            });
        }
        let date = answer.headers().get(header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        // An answer of a token endpoint holds tokens.
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(WebError::TooLarge { host: host() });
            }
            body.extend_from_slice(&chunk);
        }
        let document =
            serde_json::from_slice(&body).map_err(|_| WebError::NotJson { host: host() })?;
        Ok((document, date))
    }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection; check the network, the proxy and the certificate authorities"
    } else {
        "the connection failed"
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let unreadable =
        |error| format!("{shown} cannot be read: {error}; check its path and permissions");
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_CERTIFICATES).read_to_end(&mut pem))
        .map_err(unreadable)?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(authorities) if !authorities.is_empty() => Ok(authorities),
        _ => Err(format!(
            "{shown} holds no certificate; name a file of certificates in PEM"
        )),
    }
}
