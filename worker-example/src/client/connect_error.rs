//! Why Temporal cannot be reached, or not with encryption.

use std::{error::Error, io, path::PathBuf};

use temporal_kms_codec_service::{exit::Status, terminal};
use temporalio_client::{errors::ClientConnectError, tonic};
use thiserror::Error;
use url::Url;

use super::address::{self, AddressError};

/// Temporal cannot be reached, or not with encryption.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address would send a credential in the clear.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// A certificate or key file that cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key, a variable or a permission is missing.
    #[error("cannot encrypt payloads: {0}")]
    Codec(#[from] temporal_kms_codec::Error),
    /// `--keyring` without a key in it.
    #[error(
        "--keyring is given, but the configured keys are not local:// keys; leave --keyring out, or unset the variables \
         that name other keys"
    )]
    KeyringUnused,
    /// A variable of an older version.
    #[error("CLAUDE_TASKS_KEYRING is not read any more; set TEMPORAL_CODEC_KEYRING instead")]
    OldVariable,
    /// No connection.
    #[error("cannot connect to Temporal at {}: {problem}", address::shown(address))]
    Unreachable {
        /// Where.
        address: Url,
        /// Why, and what to do.
        problem: String,
    },
    /// Temporal did not accept the API key or the certificate.
    #[error(
        "Temporal at {} refuses the connection: {problem}. Check TEMPORAL_API_KEY, --tls-cert and --namespace",
        address::shown(address)
    )]
    Denied {
        /// Where.
        address: Url,
        /// What Temporal said.
        problem: String,
    },
}

impl ConnectError {
    /// The program's exit status.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Address(_) => Status::Usage,
            Self::File { .. } => Status::NoInput,
            Self::Codec(error) => Status::of(error),
            Self::KeyringUnused | Self::OldVariable => Status::Configuration,
            Self::Unreachable { .. } => Status::Unavailable,
            Self::Denied { .. } => Status::NoPermission,
        }
    }

    pub(super) fn of(address: Url, error: &ClientConnectError) -> Self {
        if let ClientConnectError::SystemInfoCallError(status) = error {
            let code = status.code();
            let problem = terminal::line(status.message());
            if matches!(
                code,
                tonic::Code::Unauthenticated | tonic::Code::PermissionDenied
            ) {
                return Self::Denied { address, problem };
            }
        }
        let problem = explain(&address, error);
        Self::Unreachable { address, problem }
    }
}

fn explain(address: &Url, error: &ClientConnectError) -> String {
    let root = root_cause(error);
    if let Some(io::ErrorKind::ConnectionRefused) = root.downcast_ref().map(io::Error::kind) {
        return "connection refused. Is it running? Is --address right?".to_owned();
    }
    let said = terminal::line(&root.to_string());
    // rustls read an answer that does not begin like TLS.
    if address.scheme() == "https" && said.contains("InvalidContentType") {
        return "it does not speak TLS; use http:// if that is intended".to_owned();
    }
    if address.scheme() == "http" {
        return format!("{said}. Is --address right? If Temporal expects TLS, use https://");
    }
    format!("{said}. Is --address right?")
}

/// The innermost error; those around it only say that there is one.
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}
