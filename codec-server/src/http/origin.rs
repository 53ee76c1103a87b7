//! Who may address the server from a browser: CORS, and what CORS does not do.
//!
//! CORS keeps a foreign page from reading an answer, not from causing the work. And a page whose own name suddenly
//! points to 127.0.0.1 (DNS rebinding) is no foreign page for a browser. So a request with an
//! origin that is not allowed is refused, and so is one that is addressed to a name which is not this server's.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Uri, header, request::Parts, uri::Authority};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::refusal::Refusal;
use crate::config::CorsConfig;

/// What the Web UI sends.
const ALLOWED_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-namespace"),
    header::AUTHORIZATION,
    HeaderName::from_static("authorization-extras"),
];

/// Which origins and hosts are this server's.
pub(crate) struct Callers {
    cors: CorsConfig,
    hosts: Vec<String>,
}

impl Callers {
    pub(crate) fn new(cors: CorsConfig, hosts: Vec<String>) -> Self {
        Self { cors, hosts }
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

    pub(super) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let host = self.host(request).ok_or(Refusal::ForeignHost)?;
        let ours =
            |origin: &HeaderValue| allows(&self.cors, origin) || is_same_origin(origin, &host);
        if request.headers.get_all(header::ORIGIN).iter().all(ours) {
            Ok(())
        } else {
            Err(Refusal::ForeignOrigin)
        }
    }

    /// What the request is addressed to, if that is one of this server's names. A target in absolute form overrides
    /// the header (RFC 9112, section 3.2.2).
    fn host(&self, request: &Parts) -> Option<Authority> {
        let mut headers = request.headers.get_all(header::HOST).iter();
        let host = match (request.uri.authority(), headers.next(), headers.next()) {
            (Some(authority), _, None) => authority.clone(),
            (None, Some(header), None) => Authority::try_from(header.as_bytes()).ok()?,
            _ => return None,
        };
        let name = host.host();
        let ours = is_local(name)
            || self
                .hosts
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(name));
        ours.then_some(host)
    }
}

/// A page behind the same proxy as this server. That its host is ours has been checked.
fn is_same_origin(origin: &HeaderValue, host: &Authority) -> bool {
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| Some(origin.split_once("://")?.1));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
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
        && is_local(authority.host())
}

/// `localhost`, 127.0.0.0/8 and `::1`: what no DNS server can point elsewhere.
fn is_local(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

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
    fn a_page_on_the_same_host_is_no_foreign_page() {
        let same = |origin, host: &str| {
            is_same_origin(&HeaderValue::from_static(origin), &host.parse().unwrap())
        };
        assert!(same("https://codec.example.com", "codec.example.com"));
        assert!(same("http://localhost:8081", "localhost:8081"));
        assert!(!same("http://localhost:8080", "localhost:8081"));
        assert!(!same("https://evil.example", "codec.example.com"));
        assert!(!same("null", "codec.example.com"));
    }

    fn host_allowed(uri: &str, hosts: &[&str]) -> bool {
        let callers = Callers::new(CorsConfig::local(), vec!["codec.example.com".to_owned()]);
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        callers.host(&parts).is_some()
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
}
