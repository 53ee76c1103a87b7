//! Who may address the server from a browser: CORS, and what CORS does not do.
//!
//! CORS keeps a foreign page from reading an answer, not from causing the work. And a page whose own name suddenly
//! points to 127.0.0.1 (DNS rebinding) is no foreign page for a browser. So a request with an
//! origin that is not allowed is refused, and so is one that is addressed to a name which is not this server's.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Uri, header, request::Parts};
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
        self.check_host(request)?;
        let mut origins = request.headers.get_all(header::ORIGIN).iter();
        if origins.all(|origin| allows(&self.cors, origin)) {
            Ok(())
        } else {
            Err(Refusal::ForeignOrigin)
        }
    }

    /// A target in absolute form overrides the header (RFC 9112, section 3.2.2).
    pub(super) fn check_host(&self, request: &Parts) -> Result<(), Refusal> {
        let mut headers = request.headers.get_all(header::HOST).iter();
        let host = match (request.uri.authority(), headers.next(), headers.next()) {
            (Some(authority), _, None) => authority.as_str().parse::<Uri>().ok(),
            (None, Some(header), None) => header.to_str().ok().and_then(|host| host.parse().ok()),
            _ => None,
        };
        let ours = host.as_ref().and_then(Uri::host).is_some_and(|host| {
            is_local(host)
                || self
                    .hosts
                    .iter()
                    .any(|ours| ours.eq_ignore_ascii_case(host))
        });
        if ours {
            Ok(())
        } else {
            Err(Refusal::ForeignHost)
        }
    }
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

    fn host_allowed(uri: &str, hosts: &[&str]) -> bool {
        let callers = Callers::new(CorsConfig::local(), vec!["codec.example.com".to_owned()]);
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        callers.check_host(&parts).is_ok()
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
