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
mod tests {
    use std::convert::Infallible;

    use http::{Request, StatusCode};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn answers_without_an_origin_get_the_headers_of_the_layer() {
        for allow_credentials in [false, true] {
            let cors = CorsConfig {
                allow_credentials,
                ..CorsConfig::local()
            };
            let policy = OriginPolicy::new(cors, Vec::new(), false);
            for status in [
                StatusCode::OK,
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::TOO_MANY_REQUESTS,
            ] {
                let answer = move || {
                    let answer = Response::builder().status(status);
                    answer.header(header::VARY, "cookie").body(()).unwrap()
                };
                let service =
                    service_fn(move |_: Request<()>| async move { Ok::<_, Infallible>(answer()) });
                let request = Request::post("/decode").body(()).unwrap();
                let of_layer = policy.cors_layer().layer(service).oneshot(request).await;
                let mut added = answer();
                policy.add_cors_headers(&mut added);
                assert_eq!(of_layer.unwrap().headers(), added.headers(), "{status}");
                let names_credentials = added
                    .headers()
                    .contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
                assert_eq!(names_credentials, allow_credentials);
            }
        }
    }

    #[test]
    fn local_origins_are_those_of_this_machine() {
        for local in [
            "http://localhost:8233",
            "https://localhost",
            "http://127.0.0.1:80",
            "http://127.1.2.3:1",
            "http://[::1]:8080",
        ] {
            assert!(is_local_origin(local), "{local}");
        }
        for foreign in [
            "null",
            "",
            "http://localhost.evil.example",
            "http://evil.example:127",
            "http://localhost@evil.example",
            "http://evil@localhost",
            "http://localhost:8233/",
            "http://localhost:8233/x",
            "file://localhost",
            "localhost:8233",
            "http://127.0.0.1.evil.example",
            "http://0.0.0.0:8233",
            "http://2130706433.example",
        ] {
            assert!(!is_local_origin(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_page_on_the_same_host_is_not_foreign() {
        let same_where = |is_secure, origin, host: &str| {
            let origin = HeaderValue::from_static(origin);
            is_same_origin(&origin, &host.parse().unwrap(), is_secure)
        };
        let same = |origin, host: &str| same_where(false, origin, host);
        assert!(same("https://codec.example.com", "codec.example.com"));
        assert!(same("http://localhost:8081", "localhost:8081"));
        assert!(!same("http://localhost:8080", "localhost:8081"));
        assert!(!same("https://evil.example", "codec.example.com"));
        assert!(!same("null", "codec.example.com"));
        assert!(!same(
            "chrome-extension://codec.example.com",
            "codec.example.com"
        ));
        // A person in the network can answer for the name without TLS.
        let secure = |origin| same_where(true, origin, "codec.example.com");
        assert!(secure("https://codec.example.com"));
        assert!(!secure("http://codec.example.com"));
    }

    fn host_allowed(uri: &str, hosts: &[&str]) -> bool {
        let callers = OriginPolicy::new(
            CorsConfig::local(),
            vec!["codec.example.com".to_owned()],
            true,
        );
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        callers.host(&parts.uri, &parts.headers).is_some()
    }

    #[test]
    fn only_names_of_this_server_are_answered() {
        for ours in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:8081",
            "[::1]:8081",
            "codec.example.com",
        ] {
            assert!(host_allowed("/decode", &[ours]), "{ours}");
        }
        for foreign in [
            "evil.example:8081",
            "localhost.evil.example",
            "",
            "localhost, evil.example",
        ] {
            assert!(!host_allowed("/decode", &[foreign]), "{foreign}");
        }
        assert!(!host_allowed("/decode", &[]));
        assert!(!host_allowed("/decode", &["localhost", "localhost"]));
        assert!(host_allowed("http://localhost:1/decode", &["localhost:1"]));
        assert!(!host_allowed("http://evil.example/decode", &["localhost"]));
    }

    #[test]
    fn any_name_is_answered_when_requests_prove_who_sends_them() {
        let policy = OriginPolicy::new(CorsConfig::default(), Vec::new(), true);
        let check = |headers: &[(&str, &str)]| {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            policy.check(&request.body(()).unwrap().into_parts().0)
        };
        let host = ("host", "codec.internal:8443");
        assert!(check(&[host]).is_ok());
        assert!(check(&[]).is_err(), "no name at all");
        // The page of this server, or one that pointed its own name here. The latter has nobody's proof.
        assert!(check(&[host, ("origin", "https://codec.internal:8443")]).is_ok());
        let foreign = ("origin", "https://evil.example");
        assert!(matches!(
            check(&[host, foreign]),
            Err(RequestError::ForeignOrigin)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn refused_pages_are_logged_now_and_then() {
        let policy = OriginPolicy::new(CorsConfig::local(), Vec::new(), false);
        assert!(policy.may_log(Instant::now()));
        assert!(!policy.may_log(Instant::now()));
        tokio::time::advance(LOG_INTERVAL).await;
        assert!(policy.may_log(Instant::now()));
    }

    #[test]
    fn a_page_without_an_origin_is_told_by_what_else_browsers_send() {
        let policy = OriginPolicy::new(CorsConfig::local(), Vec::new(), false);
        let allowed = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().header(header::HOST, "localhost");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            policy
                .check(&request.body(()).unwrap().into_parts().0)
                .is_ok()
        };
        let local = ("origin", "http://localhost:8233");
        for site in ["cross-site", "same-site", "anything"] {
            let site = (SEC_FETCH_SITE, site);
            assert!(!allowed(&[site]), "{site:?}");
            assert!(
                !allowed(&[site, ("origin", "https://evil.example")]),
                "{site:?}"
            );
            assert!(
                allowed(&[site, local]),
                "{site:?}: the Web UI is on another port"
            );
        }
        for site in ["same-origin", "none"] {
            assert!(allowed(&[(SEC_FETCH_SITE, site)]), "{site}");
        }
        assert!(allowed(&[]));
    }
}
