//! When a certificate expires.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _};

/// The end of the validity of the first certificate of a chain, which is the server's own.
pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(chain.first()?).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(validity.not_after.to_system_time())
}
