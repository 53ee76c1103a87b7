//! TLS of servers: certificates from PEM files that are read again when they change, and client certificates.
//!
//! [`TlsSettings`] is the section `[tls]`. [`Tls`] has what it names, ready for handshakes. A file that cannot be used keeps
//! the one before it, and established connections go on.

mod error;
mod examine;
mod files;
mod handshake;
mod reload;
mod settings;

pub use error::TlsError;
pub use examine::{CertificateFacts, ChainFault, ExaminedTls, expiry};
pub use handshake::{Agreed, TlsStream};
pub use reload::{ClientTrust, Reloaded, Tls, faults};
pub use settings::{ClientCertificates, TlsSettings};
