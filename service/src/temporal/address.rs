//! Temporal's address, and whether TLS protects the connection.

use std::{fmt, str::FromStr};

use temporal_kms_codec::endpoint;
use thiserror::Error;
use url::Url;

/// The variable with the API key of Temporal Cloud. It is not an option, because all users of a machine can read arguments.
///
/// | variable | meaning |
/// |---|---|
/// | `TEMPORAL_API_KEY` | an API key of Temporal Cloud |
pub const API_KEY: &str = "TEMPORAL_API_KEY";

/// Temporal's address: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// With the scheme `http` if the text has no scheme.
    url: Url,
    has_scheme: bool,
}

/// The credentials of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials {
    /// What names the API key that every request carries, such as [`API_KEY`]. `None` without a key.
    pub api_key: Option<&'static str>,
    /// Whether a client certificate or a CA certificate is given.
    pub tls_files: bool,
}

/// The address cannot be used. No variant repeats the address, because it may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not an address.
    #[error("the address is not valid; write HOST:PORT, http://HOST:PORT or https://HOST:PORT")]
    Form,
    /// It has a user name or a password.
    #[error(
        "the address must not have a user name or a password; set TEMPORAL_API_KEY for an API key"
    )]
    User,
    /// The API key would be sent unencrypted. It has what names the key.
    #[error(
        "http:// would send the API key ({0}) unencrypted to another machine; use https://, or leave the key out"
    )]
    KeyInTheClear(&'static str),
    /// TLS options are given, and the address has no TLS.
    #[error(
        "the address begins with http://, so --tls-ca, --tls-cert and --tls-key, or the variables TEMPORAL_TLS_CA, \
         TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY, would have no effect; use https://, or leave them out"
    )]
    TlsUnused,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let has_scheme = text.contains("://");
        let url: Url = if has_scheme {
            text.parse()
        } else {
            format!("http://{text}").parse()
        }
        .map_err(|_| AddressError::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::User);
        }
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let complete = has_scheme || text.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain || !complete
        {
            return Err(AddressError::Form);
        }
        Ok(Self { url, has_scheme })
    }
}

impl Address {
    /// The server as a URL, with or without TLS.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// The URL to connect to. If the address has no scheme, TLS is used if a credential needs it.
    ///
    /// # Errors
    /// When the address says `http://`, and a credential would be sent unencrypted or TLS options would have no effect.
    pub fn url(&self, credentials: Credentials) -> Result<Url, AddressError> {
        let mut url = self.url.clone();
        let is_loopback = url.host_str().is_some_and(endpoint::is_loopback);
        let key = credentials.api_key.filter(|_| !is_loopback);
        match (url.scheme(), self.has_scheme, key) {
            ("http", true, _) if credentials.tls_files => return Err(AddressError::TlsUnused),
            ("http", true, Some(named_by)) => return Err(AddressError::KeyInTheClear(named_by)),
            ("http", false, key) if credentials.tls_files || key.is_some() => {
                url.set_scheme("https").map_err(|()| AddressError::Form)?;
            }
            _ => {}
        }
        Ok(url)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(shown(&self.url))
    }
}

/// A URL for messages, without the slash of an empty path.
#[must_use]
pub fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Credentials = Credentials {
        api_key: None,
        tls_files: false,
    };
    const KEY: Credentials = Credentials {
        api_key: Some(API_KEY),
        ..NOTHING
    };
    const TLS: Credentials = Credentials {
        tls_files: true,
        ..NOTHING
    };

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        use AddressError as E;
        for error in [
            E::Form,
            E::User,
            E::KeyInTheClear("--api-key-file"),
            E::TlsUnused,
        ] {
            // A new variant does not compile until it is here.
            let (subject, remedy) = match error {
                E::Form => ("the address", "write HOST:PORT"),
                E::User => ("the address", "set TEMPORAL_API_KEY"),
                E::KeyInTheClear(named_by) => (named_by, "use https://"),
                E::TlsUnused => ("--tls-ca", "use https://"),
            };
            let text = error.to_string();
            assert!(text.contains(subject) && text.contains(remedy), "{text}");
        }
    }

    fn url(address: &str, credentials: Credentials) -> Result<String, AddressError> {
        let address: Address = address.parse()?;
        Ok(shown(&address.url(credentials)?).to_owned())
    }

    #[test]
    fn takes_addresses_as_people_write_them() {
        for (address, expected) in [
            ("127.0.0.1:7233", "http://127.0.0.1:7233"),
            ("temporal:7233", "http://temporal:7233"),
            ("[::1]:7233", "http://[::1]:7233"),
            ("https://t.example:7233", "https://t.example:7233"),
            ("http://t.example:7233/", "http://t.example:7233"),
        ] {
            assert_eq!(url(address, NOTHING).as_deref(), Ok(expected));
        }
        for bad in [
            "",
            "localhost",
            "t.example:0",
            "t.example:x",
            "ftp://x:1",
            "http://",
            "file:///x",
            "https://x:1/path",
            "https://x:1/?q",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Form), "{bad}");
        }
        assert_eq!(
            "https://u:p@x:1".parse::<Address>(),
            Err(AddressError::User)
        );
    }

    #[test]
    fn an_api_key_leaves_this_machine_over_tls_only() {
        for host in [
            "x.aws.api.temporal.io:7233",
            "10.0.0.1:7233",
            "temporal:7233",
        ] {
            assert_eq!(url(host, KEY), Ok(format!("https://{host}")));
            let clear = format!("http://{host}");
            assert_eq!(url(&clear, KEY), Err(AddressError::KeyInTheClear(API_KEY)));
            assert_eq!(url(&clear, NOTHING), Ok(clear));
        }
        for host in ["127.0.0.1:7233", "localhost:7233", "[::1]:7233"] {
            assert_eq!(url(host, KEY), Ok(format!("http://{host}")));
        }
        let hidden = "localhost.evil.example:7233";
        assert_eq!(url(hidden, KEY), Ok(format!("https://{hidden}")));
    }

    #[test]
    fn tls_options_are_used_or_refused() {
        assert_eq!(
            url("127.0.0.1:7233", TLS).as_deref(),
            Ok("https://127.0.0.1:7233")
        );
        assert_eq!(
            url("http://127.0.0.1:7233", TLS),
            Err(AddressError::TlsUnused)
        );
        assert!(url("https://127.0.0.1:7233", TLS).is_ok());
    }
}
