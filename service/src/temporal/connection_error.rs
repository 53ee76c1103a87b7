//! Why Temporal cannot be called, and what to do.

use std::{error::Error, io};

use temporal_kms::support::shell_word;
use thiserror::Error;
use url::Url;

use super::address::shown;
use crate::terminal;

/// Temporal cannot be called.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It cannot be reached.
    #[error("cannot reach Temporal at {address}: {reason}; {remedy}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why, in words that are safe for a terminal.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It refuses the API key or the certificate.
    #[error(
        "Temporal at {address} refuses the call: {reason}; check the API key ({api_key}), --tls-cert and --namespace"
    )]
    Denied {
        /// The address.
        address: String,
        /// Its message, in words that are safe for a terminal.
        reason: String,
        /// What names an API key, such as [`API_KEY`](super::API_KEY).
        api_key: &'static str,
    },
}

/// The namespace does not exist.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the namespace `{namespace}` does not exist in Temporal at {address}; check --namespace (TEMPORAL_NAMESPACE) and \
     --address, or create it: temporal operator namespace create --namespace {}",
    shell_word(.namespace)
)]
#[non_exhaustive]
pub struct MissingNamespace {
    /// The namespace.
    pub namespace: String,
    /// The address of Temporal.
    pub address: String,
}

impl MissingNamespace {
    /// The error of a namespace that Temporal at `address` does not have.
    #[must_use]
    pub fn new(namespace: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            address: address.into(),
        }
    }
}

impl ConnectionError {
    /// The error of a connection to `address` that failed. `error` is what the client says.
    #[must_use]
    pub fn unreachable(address: &Url, error: &(dyn Error + 'static)) -> Self {
        let (reason, remedy) = explain(address, error);
        Self::Unreachable {
            address: shown(address).to_owned(),
            reason,
            remedy,
        }
    }

    /// The error of a caller whom Temporal refuses, with its message. `api_key` is what can name an API key.
    #[must_use]
    pub fn denied(address: &Url, message: &str, api_key: &'static str) -> Self {
        Self::Denied {
            address: shown(address).to_owned(),
            reason: terminal::line(message),
            api_key,
        }
    }
}

/// Why a connection failed, and what to do.
fn explain(address: &Url, error: &(dyn Error + 'static)) -> (String, &'static str) {
    let root = root_cause(error);
    if let Some(io::ErrorKind::ConnectionRefused) = root.downcast_ref().map(io::Error::kind) {
        return (
            "connection refused".to_owned(),
            "check that it runs, and --address",
        );
    }
    let reason = terminal::line(&root.to_string());
    match address.scheme() {
        // rustls reports this for an answer that is not TLS.
        "https" if reason.contains("InvalidContentType") => (
            "it does not speak TLS".to_owned(),
            "write http:// if that is intended",
        ),
        "http" => (
            reason,
            "check --address, and write https:// if Temporal uses TLS",
        ),
        _ => (reason, "check --address"),
    }
}

/// The innermost error. The errors around it only say that there is one.
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::{super::address::API_KEY, *};

    /// An error of a client around its reason.
    #[derive(Debug, Error)]
    #[error("error sending request")]
    struct Around(#[source] io::Error);

    fn told(address: &str, error: io::Error) -> String {
        ConnectionError::unreachable(&address.parse().unwrap(), &Around(error)).to_string()
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_named_with_what_to_do() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        for (address, error, expected) in [
            (
                "http://temporal:7233",
                refused(),
                "connection refused; check that it runs, and --address",
            ),
            (
                "https://temporal:7233",
                io::Error::other("received corrupt message of type InvalidContentType"),
                "it does not speak TLS; write http:// if that is intended",
            ),
            (
                "http://temporal:7233",
                io::Error::other("lost\u{1b}"),
                "lost\u{fffd}; check --address, and write https:// if Temporal uses TLS",
            ),
            (
                "https://temporal:7233",
                io::Error::other("lost"),
                "lost; check --address",
            ),
        ] {
            assert_eq!(
                told(address, error),
                format!("cannot reach Temporal at {address}: {expected}")
            );
        }
    }

    #[test]
    fn a_refusal_and_a_missing_namespace_are_told_with_the_address() {
        let address = "https://temporal:7233".parse().unwrap();
        assert_eq!(
            ConnectionError::denied(&address, "bad key\n", API_KEY).to_string(),
            "Temporal at https://temporal:7233 refuses the call: bad key\u{fffd}; check the API key (TEMPORAL_API_KEY), \
             --tls-cert and --namespace"
        );
        let text = MissingNamespace::new("pay roll", shown(&address)).to_string();
        for words in [
            "`pay roll`",
            "https://temporal:7233;",
            "check --namespace",
            "create --namespace 'pay roll'",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
