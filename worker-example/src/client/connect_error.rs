//! Why the client cannot connect to Temporal, or cannot encrypt or decrypt.

use std::{io, path::PathBuf};

use temporal_kms_codec_service::temporal::{API_KEY, AddressError, ConnectionError};
use temporalio_client::{errors::ClientConnectError, tonic::Code};
use thiserror::Error;
use url::Url;

use crate::store::LocationError;

/// The client cannot connect to Temporal, or cannot encrypt or decrypt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address would send a credential unencrypted.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// A certificate or key file cannot be read.
    #[error("cannot read {path}: {source}. Check --tls-ca, --tls-cert and --tls-key")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key or a setting of the codec is wrong.
    #[error("cannot encrypt payloads: {0}")]
    Codec(#[from] temporal_kms_codec::Error),
    /// As [`Codec`](Self::Codec), of a client that only reads payloads.
    #[error("cannot decrypt payloads: {0}")]
    Decrypt(#[source] temporal_kms_codec::Error),
    /// A keyring is given, and no configured key is in a keyring.
    #[error(
        "--keyring has no effect, because the configured keys are not local:// keys; leave --keyring out, or unset the \
         variables that name the keys"
    )]
    KeyringUnused,
    /// A variable of an older version is set.
    #[error("CLAUDE_TASKS_KEYRING has no effect any more; set TEMPORAL_CODEC_KEYRING instead")]
    OldVariable,
    /// The store of secrets and logs cannot be used.
    #[error("{0}. Check --store (CLAUDE_TASKS_STORE, GCS_LOGS_BUCKET)")]
    Store(#[from] LocationError),
    /// Temporal cannot be reached, or refuses the caller.
    #[error(transparent)]
    Temporal(#[from] ConnectionError),
}

impl ConnectError {
    /// The same error, of a client that only reads payloads.
    pub(super) fn of_reader(self) -> Self {
        match self {
            Self::Codec(error) => Self::Decrypt(error),
            error => error,
        }
    }

    pub(super) fn of(address: &Url, error: &ClientConnectError) -> Self {
        Self::Temporal(match error {
            ClientConnectError::SystemInfoCallError(status)
                if matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied
                ) =>
            {
                ConnectionError::denied(address, status.message(), API_KEY)
            }
            error => ConnectionError::unreachable(address, error),
        })
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::PayloadError;

    use super::*;

    /// What the text of an error must name: the subject, and what to do. A new variant does not compile until it is here.
    fn names(error: &ConnectError) -> &'static [&'static str] {
        use ConnectError as E;
        match error {
            E::Address(_) => &["the address", "write HOST:PORT"],
            E::File { .. } => &["ca.pem", "Check --tls-ca"],
            E::Codec(_) => &["cannot encrypt payloads", "Decode it"],
            E::Decrypt(_) => &["cannot decrypt payloads", "Decode it"],
            E::KeyringUnused => &["--keyring", "leave --keyring out"],
            E::OldVariable => &["CLAUDE_TASKS_KEYRING", "set TEMPORAL_CODEC_KEYRING"],
            E::Store(_) => &["the store", "Check --store"],
            E::Temporal(_) => &["http://temporal:7233", "; check "],
        }
    }

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        let address: Url = "http://temporal:7233".parse().unwrap();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let all = [
            ConnectError::Address(AddressError::Form),
            ConnectError::Store(LocationError::Form),
            ConnectError::File {
                path: "ca.pem".into(),
                source: io::ErrorKind::NotFound.into(),
            },
            ConnectError::Codec(PayloadError::NotAuthentic.into()),
            ConnectError::Codec(PayloadError::NotAuthentic.into()).of_reader(),
            ConnectError::KeyringUnused,
            ConnectError::OldVariable,
            ConnectionError::unreachable(&address, &refused).into(),
            ConnectionError::denied(&address, "bad key", API_KEY).into(),
        ];
        for error in all {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }
}
