//! Why a server cannot start.

use temporal_kms_codec_service::{
    audit::OpenAuditError, listener::ListenAddress, namespaces::OpenError, tls::TlsError,
};

use crate::config::Problems;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot work.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// The certificates cannot be used.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// A key or a setting of a namespace cannot be used.
    #[error(transparent)]
    Keys(#[from] OpenError),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] OpenAuditError),
    /// The server cannot listen on an address.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why not.
        source: std::io::Error,
    },
}
