//! The names in a client's certificate.

use std::{collections::BTreeSet, fmt, time::SystemTime};

use thiserror::Error;
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// No certificate of a client has more names.
const MOST_NAMES: usize = 1000;

/// A client's certificate, which TLS has verified. Only its names and its end are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    not_after: SystemTime,
    names: BTreeSet<CertificateName>,
}

/// A name in a certificate. The text form is `dns:HOST`, `uri:URI`, `email:ADDRESS` or `cn:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CertificateName {
    /// `dNSName` of the subject alternative name, in lower case.
    Dns(String),
    /// `uniformResourceIdentifier`, such as a SPIFFE id.
    Uri(String),
    /// `rfc822Name`.
    Email(String),
    /// The common name of the subject. It counts only in a certificate without a subject alternative name.
    CommonName(String),
}

/// The certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client certificate cannot be read; send another certificate")]
pub struct UnreadableCertificate;

impl ClientCertificate {
    /// Reads the names of a certificate in DER, after TLS has verified it.
    ///
    /// # Errors
    /// When it is not one certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, UnreadableCertificate> {
        let certificate = Certificate::from_der(der).map_err(|_| UnreadableCertificate)?;
        let certificate = certificate.tbs_certificate();
        let alternative = certificate
            .get_extension::<SubjectAltName>()
            .map_err(|_| UnreadableCertificate)?;
        let names = if let Some((_, SubjectAltName(names))) = alternative {
            names.iter().filter_map(name).take(MOST_NAMES).collect()
        } else {
            let common = certificate.subject().common_name();
            let common = common.map_err(|_| UnreadableCertificate)?;
            let name = common.map(|name| CertificateName::CommonName(name.value().into_owned()));
            name.into_iter().collect()
        };
        let not_after = certificate.validity().not_after.to_system_time();
        Ok(Self { not_after, names })
    }

    /// Whether it has expired. TLS checks it at the handshake only, and a connection can outlive its certificate.
    #[must_use]
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.not_after < now
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &CertificateName> {
        self.names.iter()
    }
}

fn name(general: &GeneralName) -> Option<CertificateName> {
    let name = match general {
        GeneralName::DnsName(name) => CertificateName::Dns(name.as_str().to_ascii_lowercase()),
        GeneralName::UniformResourceIdentifier(uri) => {
            CertificateName::Uri(uri.as_str().to_owned())
        }
        GeneralName::Rfc822Name(email) => CertificateName::Email(email.as_str().to_owned()),
        _ => return None,
    };
    Some(name)
}

impl CertificateName {
    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a name of a certificate: \"dns:HOST\", \"uri:URI\", \"email:ADDRESS\" or \"cn:NAME\"";
        let (kind, name) = text.split_once(':').ok_or(EXPECTED)?;
        if name.is_empty() {
            return Err(EXPECTED);
        }
        if name.contains('*') {
            return Err("expected a whole name; there are no wildcards");
        }
        match kind {
            "dns" => Ok(Self::Dns(name.to_ascii_lowercase())),
            "uri" => Ok(Self::Uri(name.to_owned())),
            "email" => Ok(Self::Email(name.to_owned())),
            "cn" => Ok(Self::CommonName(name.to_owned())),
            _ => Err(EXPECTED),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::CommonName(name) => write!(f, "cn:{name}"),
        }
    }
}
