//! Why the certificate of a server is refused, in plain words.

use std::{error::Error, io};

use rustls::CertificateError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateFault {
    Authority,
    Expired,
    NotValidYet,
    OtherName,
    OtherPurpose,
    UnknownIssuer,
}

impl CertificateFault {
    /// The fault that an error of a connection holds, if there is one.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
                return Self::of_certificate(reason);
            }
            // The source of an I/O error is that of the error in it.
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match inner {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn of_certificate(reason: &CertificateError) -> Option<Self> {
        Some(match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::OtherPurpose
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            // The library that verifies has no error of its own for it here.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                Self::Authority
            }
            _ => return None,
        })
    }

    /// What is wrong.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Authority => {
                "TLS fails: the server shows a certificate of an authority (CA:TRUE)"
            }
            Self::Expired => "TLS fails: its certificate has expired",
            Self::NotValidYet => "TLS fails: its certificate is not valid yet",
            Self::OtherName => "TLS fails: its certificate is for another name",
            Self::OtherPurpose => "TLS fails: its certificate is not one for servers",
            Self::UnknownIssuer => {
                "TLS fails: this machine does not know the issuer of its certificate"
            }
        }
    }

    /// What to do.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Authority => {
                "make a certificate for the server with basicConstraints CA:FALSE, and let clients trust its issuer"
            }
            Self::Expired => {
                "renew the certificate, or correct this machine's clock; a proxy may be on the way"
            }
            Self::NotValidYet => {
                "correct this machine's clock, or wait until the certificate is valid; a proxy may be on the way"
            }
            Self::OtherName => {
                "name the server as its certificate does, or make a certificate with this name; a proxy may be on the way"
            }
            Self::OtherPurpose => "make a certificate with the extended key usage serverAuth",
            Self::UnknownIssuer => {
                "check which certificate it shows, and that this machine trusts its issuer; a proxy may be on the way"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("like that of the library")]
    struct CaUsedAsEndEntity;

    fn fault(reason: CertificateError) -> Option<CertificateFault> {
        let inner = rustls::Error::InvalidCertificate(reason);
        // As a connection has it: an I/O error in an I/O error.
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        CertificateFault::of(&error)
    }

    #[test]
    fn the_reason_is_found_in_the_error_of_a_connection() {
        let other = OtherError(Arc::new(CaUsedAsEndEntity));
        assert_eq!(
            fault(CertificateError::Other(other)),
            Some(CertificateFault::Authority)
        );
        assert_eq!(
            fault(CertificateError::Expired),
            Some(CertificateFault::Expired)
        );
        assert_eq!(
            fault(CertificateError::UnknownIssuer),
            Some(CertificateFault::UnknownIssuer)
        );
        assert_eq!(fault(CertificateError::BadSignature), None);
        assert_eq!(CertificateFault::of(&io::Error::other("closed")), None);
    }
}
