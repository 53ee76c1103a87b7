//! Which web pages may call the server: CORS, and two checks that CORS does not make.
//!
//! CORS keeps a foreign page from reading an answer, but not from causing work. So a request with a foreign origin is
//! refused. With DNS rebinding, a page's own name points to 127.0.0.1, and the browser sees no foreign origin. So a
//! request to a host name that is not this server's is refused as well.

use std::time::Duration;

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header,
    request::Parts, uri::Authority,
};
use parking_lot::Mutex;
use temporal_kms_codec::endpoint::is_loopback;
use temporal_kms_codec_service::admin;
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    connection::ConnectionInfo,
    host,
    request_error::{RequestError, shown},
};
use crate::config::CorsConfig;

/// The headers that the Web UI sends.
const ALLOWED_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-namespace"),
    header::AUTHORIZATION,
    HeaderName::from_static("authorization-extras"),
];

/// The header in which a browser says where a request comes from, even without an origin (W3C Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// How often refused origins are logged: a page can call a thousand times a second.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The origins and host names that may be used.
pub(crate) struct OriginPolicy {
    cors: CorsConfig,
    hosts: Vec<String>,
    /// Whether a request may be addressed to any host name.
    any_host: bool,
    last_logged: Mutex<Option<Instant>>,
}

impl OriginPolicy {
    /// `any_host`: each request proves who sends it, so that a page which points its own name here gains nothing. A list of
    /// hosts is checked all the same.
    pub(crate) fn new(cors: CorsConfig, hosts: Vec<String>, any_host: bool) -> Self {
        Self {
            any_host: any_host && hosts.is_empty(),
            cors,
            hosts,
            last_logged: Mutex::new(None),
        }
    }

    /// Answers preflights, and lets the allowed origins read every answer.
    pub(crate) fn cors_layer(&self) -> CorsLayer {
        let cors = self.cors.clone();
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| {
                allows(&cors, origin)
            }))
            .allow_credentials(self.cors.allow_credentials)
            .allow_methods([Method::POST])
            .allow_headers(ALLOWED_HEADERS)
            .max_age(self.cors.max_age)
    }

    /// Gives the answer to a request without an origin the headers that [`cors_layer`](Self::cors_layer) gives it.
    pub(super) fn add_cors_headers<B>(&self, answer: &mut Response<B>) {
        const VARY: HeaderValue = HeaderValue::from_static("origin");
        const TRUE: HeaderValue = HeaderValue::from_static("true");
        answer.headers_mut().append(header::VARY, VARY);
        if self.cors.allow_credentials {
            let name = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
            answer.headers_mut().insert(name, TRUE);
        }
    }

    pub(super) fn check(&self, request: &Parts) -> Result<(), RequestError> {
        if self.is_plain_client(request) {
            return Ok(());
        }
        let host = self.check_host(request)?;
        let is_secure = is_secure(&request.extensions);
        if self
            .foreign_origin(&request.headers, &host, is_secure)
            .is_some()
        {
            return Err(RequestError::ForeignOrigin);
        }
        Ok(())
    }

    /// Whether no browser sent this request, and it names this server in the usual form. Most requests are so, and need no
    /// parser.
    fn is_plain_client(&self, request: &Parts) -> bool {
        let headers = &request.headers;
        let mut hosts = headers.get_all(header::HOST).iter();
        let (None, Some(host), None) = (request.uri.authority(), hosts.next(), hosts.next()) else {
            return false;
        };
        !is_of_page(headers) && host::usual_name(host).is_some_and(|name| self.accepts_name(name))
    }

    /// The host that the request is addressed to. For files that every page may link to.
    pub(super) fn check_host(&self, request: &Parts) -> Result<Authority, RequestError> {
        let host = self.host(&request.uri, &request.headers);
        host.ok_or(RequestError::ForeignHost)
    }

    /// Tells the operator which web page was refused. Neither the page nor the user can see the reason.
    pub(super) fn log_refused<B>(&self, request: &Request<B>) {
        let headers = request.headers();
        if !is_of_page(headers) {
            return;
        }
        let Some(host) = self.host(request.uri(), request.headers()) else {
            return;
        };
        let is_secure = is_secure(request.extensions());
        if let Some(origin) = self.foreign_origin(request.headers(), &host, is_secure)
            && self.may_log(Instant::now())
        {
            tracing::warn!(
                origin,
                "refused a web page: its origin is not in `allowed_origins` of section [cors]; if this is your Web UI, \
                 add it there"
            );
        }
    }

    fn may_log(&self, now: Instant) -> bool {
        let mut last = self.last_logged.lock();
        let is_due = last.is_none_or(|last| now.duration_since(last) >= LOG_INTERVAL);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// The origin of a web page that may not call.
    fn foreign_origin(
        &self,
        headers: &HeaderMap,
        host: &Authority,
        is_secure: bool,
    ) -> Option<String> {
        let ours = |origin: &HeaderValue| {
            allows(&self.cors, origin) || is_same_origin(origin, host, is_secure)
        };
        if let Some(origin) = headers
            .get_all(header::ORIGIN)
            .iter()
            .find(|origin| !ours(origin))
        {
            return Some(shown(&String::from_utf8_lossy(origin.as_bytes())));
        }
        // Some requests of pages carry no origin. Programs other than browsers send neither header.
        let site = headers.get(SEC_FETCH_SITE)?.as_bytes();
        let is_foreign =
            !headers.contains_key(header::ORIGIN) && !matches!(site, b"same-origin" | b"none");
        is_foreign.then(|| "unknown (the browser sent none)".to_owned())
    }

    /// The host that the request is addressed to, if it is one of this server's names. A target in absolute form overrides
    /// the header (RFC 9112, section 3.2.2).
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
        let mut headers = headers.get_all(header::HOST).iter();
        let host = match (uri.authority(), headers.next(), headers.next()) {
            (Some(authority), _, None) => authority.clone(),
            (None, Some(header), None) => Authority::try_from(header.as_bytes()).ok()?,
            _ => return None,
        };
        self.accepts_name(host.host()).then_some(host)
    }

    /// As [`admin::names_no_foreign_host`].
    pub(super) fn names_no_foreign_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        admin::names_no_foreign_host(uri, headers, |name| self.is_our_name(name))
    }

    fn accepts_name(&self, name: &str) -> bool {
        self.any_host || self.is_our_name(name)
    }

    fn is_our_name(&self, name: &str) -> bool {
        let mut hosts = self.hosts.iter();
        is_loopback(name) || hosts.any(|ours| ours.eq_ignore_ascii_case(name))
    }

    /// Whether the request has exactly one origin, and it is in the configuration's list, or it is this server's own page.
    /// Over the network, an own page comes by TLS.
    pub(super) fn is_listed(&self, request: &Parts) -> bool {
        let mut origins = request.headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return false;
        };
        let origin = origin.to_str().unwrap_or_default();
        let host = self.host(&request.uri, &request.headers);
        let is_own = host.is_some_and(|host| {
            let is_local = is_loopback(host.host()) && origin == format!("http://{host}");
            is_local || origin == format!("https://{host}")
        });
        is_own || self.cors.allowed_origins.contains(origin)
    }
}

/// Whether a browser sent the request for a page. Other programs send neither header.
fn is_of_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

fn is_secure(extensions: &Extensions) -> bool {
    extensions
        .get::<ConnectionInfo>()
        .is_some_and(ConnectionInfo::is_secure)
}

/// A page of this server, or behind the same proxy. The host has been checked. Without TLS here, a proxy may still have the
/// page's TLS, so the scheme is not known.
fn is_same_origin(origin: &HeaderValue, host: &Authority, is_secure: bool) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let is_our_scheme = scheme == "https" || (scheme == "http" && !is_secure);
    is_our_scheme && authority.eq_ignore_ascii_case(host.as_str())
}

fn allows(cors: &CorsConfig, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    cors.allowed_origins.contains(origin) || (cors.allow_local_origins && is_local_origin(origin))
}

fn is_local_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority())
    else {
        return false;
    };
    origin == format!("{scheme}://{authority}")
        && !authority.as_str().contains('@')
        && is_loopback(authority.host())
}

#[cfg(test)]
mod tests;
