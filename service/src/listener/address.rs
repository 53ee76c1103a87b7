//! Where a server listens: an address and port, or a Unix socket.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use super::unix::UnixSocket;

/// How the address of a Unix socket begins in a configuration.
const UNIX: &str = "unix:";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port. The system picks a free port for port 0.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixSocket),
}

impl ListenAddress {
    /// Whether other machines can reach it.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Tcp(address) => !is_loopback(address.ip()),
            Self::Unix(_) => false,
        }
    }

    /// Where clients call, as a URL. A Unix socket is shown as in a configuration.
    #[must_use]
    pub fn url(&self, is_secure: bool) -> String {
        match self {
            Self::Tcp(address) if is_secure => format!("https://{address}"),
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// The address and port, if it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// `127.0.0.0/8`, `::1`, and the former written as IPv6.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(socket) => write!(f, "{UNIX}{}", socket.path.display()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// Parses `ADDRESS:PORT` or `unix:/absolute/path`.
///
/// # Errors
/// A text for the user, when it is neither.
pub fn parse(text: &str) -> Result<ListenAddress, String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        let path = PathBuf::from(path);
        if !path.is_absolute() || path.file_name().is_none() {
            return Err(format!(
                "`{text}` is not the absolute path of a file, such as unix:/run/codec-server/http.sock"
            ));
        }
        return Ok(ListenAddress::Unix(UnixSocket::at(path)));
    }
    parse_tcp(text).map(ListenAddress::Tcp)
}

/// Parses `ADDRESS:PORT`.
///
/// # Errors
/// A text for the user, when it is anything else.
pub fn parse_tcp(text: &str) -> Result<SocketAddr, String> {
    // `localhost` is not looked up, so that DNS cannot decide.
    let local = text
        .rsplit_once(':')
        .filter(|(host, _)| host.eq_ignore_ascii_case("localhost"))
        .map(|(_, port)| format!("127.0.0.1:{port}"));
    local
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("`{text}` is not ADDRESS:PORT, such as 127.0.0.1:8081 or [::1]:8081"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_machines_reach_is_told_from_what_they_do_not() {
        for local in [
            "127.0.0.1:1",
            "127.1.2.3:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "localhost:1",
            "unix:/run/x.sock",
        ] {
            assert!(!parse(local).unwrap().is_remote(), "{local}");
        }
        for remote in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert!(parse(remote).unwrap().is_remote(), "{remote}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "8081",
            "example.com:1",
            "unix:",
            "unix:x.sock",
            "unix:/",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            parse("unix:/run/x.sock").unwrap().to_string(),
            "unix:/run/x.sock"
        );
    }
}
