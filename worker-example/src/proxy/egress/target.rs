//! Where a task's request goes.

use std::net::IpAddr;

use http::{Method, Uri, uri::Scheme};

/// The port of `http://` URLs without one.
const HTTP: u16 = 80;
/// The longest host name of DNS.
const MAX_HOST: usize = 253;

/// The server of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// The server of a request with this method and URI.
    ///
    /// # Errors
    /// When a proxy cannot forward such a request, with the reason.
    pub(super) fn of(method: &Method, uri: &Uri) -> Result<Self, &'static str> {
        let authority = uri.authority().ok_or(
            "this is a proxy. It takes CONNECT HOST:PORT, and requests with a URL that begins with http://",
        )?;
        let of_method = if method == Method::CONNECT {
            None
        } else if uri.scheme() == Some(&Scheme::HTTP) {
            Some(HTTP)
        } else {
            return Err("the proxy forwards http:// URLs only. Use CONNECT for other protocols");
        };
        // The text behind the host, because a port that is not a number must not become the usual one.
        let server = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match server.strip_prefix(authority.host()) {
            Some("") => of_method,
            Some(text) => text.strip_prefix(':').and_then(|port| port.parse().ok()),
            None => None,
        };
        let port = port.ok_or("the request names no port. CONNECT needs HOST:PORT")?;
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() || host.len() > MAX_HOST {
            return Err("the request names no host");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The value of the header `Host`.
    pub(super) fn host_header(&self) -> String {
        let host = match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Ok(IpAddr::V4(_)) | Err(_) => self.host.clone(),
        };
        if self.port == HTTP {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: &Method, uri: &str) -> Result<(String, u16, String), &'static str> {
        let target = Target::of(method, &uri.parse().map_err(|_| "not a URI")?)?;
        let header = target.host_header();
        Ok((target.host, target.port, header))
    }

    #[test]
    fn names_the_server_of_a_request() {
        for (method, uri, host, port, header) in [
            (
                Method::CONNECT,
                "git.example:443",
                "git.example",
                443,
                "git.example:443",
            ),
            (Method::CONNECT, "[::1]:80", "::1", 80, "[::1]"),
            (
                Method::GET,
                "http://a.example",
                "a.example",
                80,
                "a.example",
            ),
            (
                Method::POST,
                "http://a.example:8080/x?y",
                "a.example",
                8080,
                "a.example:8080",
            ),
            (
                Method::GET,
                "http://user:secret@a.example/",
                "a.example",
                80,
                "a.example",
            ),
            (
                Method::GET,
                "http://2130706433/",
                "2130706433",
                80,
                "2130706433",
            ),
        ] {
            assert_eq!(
                target(&method, uri),
                Ok((host.to_owned(), port, header.to_owned())),
                "{uri}"
            );
        }
    }

    #[test]
    fn refuses_what_names_no_server() {
        for (method, uri) in [
            (Method::GET, "/"),
            (Method::GET, "*"),
            (Method::GET, "https://a.example/"),
            (Method::GET, "ftp://a.example/"),
            (Method::GET, "http://a.example:70000/"),
            (Method::GET, "http://a.example:x/"),
            (Method::CONNECT, "a.example"),
            (Method::CONNECT, "a.example:"),
            (Method::CONNECT, "a.example:99999"),
            (Method::CONNECT, "user@a.example"),
        ] {
            assert!(target(&method, uri).is_err(), "{method} {uri}");
        }
        let long = format!("{}:443", "a".repeat(300));
        assert!(target(&Method::CONNECT, &long).is_err());
    }
}
