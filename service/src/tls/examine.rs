//! What is to be known about the certificates before a server uses them: for a diagnosis.

use std::{net::IpAddr, os::unix::fs::MetadataExt as _, path::Path, time::SystemTime};

use rustls::{
    RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::Decode as _,
    ext::pkix::{AuthorityInfoAccessSyntax, SubjectAltName, name::GeneralName},
};

use super::{error::TlsError, files, reload, settings::TlsSettings};

/// No name of a certificate is shown beyond these.
const MOST_NAMES: usize = 100;

/// The certificates that a configuration names. The key is the certificate's, and the TLS library accepts all of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExaminedTls {
    /// The server's certificate, and those that follow it in the file.
    pub chain: Vec<CertificateFacts>,
    /// Why clients cannot follow the chain.
    pub chain_fault: Option<ChainFault>,
    /// The authorities whose client certificates are accepted.
    pub client_authorities: Vec<CertificateFacts>,
    /// When newer lists of revoked certificates are due, as far as the lists say it.
    pub client_lists_due: Vec<SystemTime>,
    /// Whether every user of this machine can read the key.
    pub key_is_public: bool,
    server: CertificateDer<'static>,
}

/// What one certificate says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// Whose certificate it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names and addresses of its subject alternative name.
    pub names: Vec<String>,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
    /// Whether it names another certificate that clients need and would have to fetch.
    pub names_its_issuer: bool,
}

impl CertificateFacts {
    /// Whether it is signed by itself, as far as its names say it.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

/// Why clients cannot follow a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainFault {
    /// A certificate is not followed by that of its issuer.
    Order {
        /// Whose certificate it is.
        subject: String,
        /// Who signed it.
        issuer: String,
        /// Whose certificate follows.
        next: String,
    },
    /// The names fit, and a signature or a use does not.
    Signature,
}

impl ExaminedTls {
    /// Reads the files as a server does.
    ///
    /// # Errors
    /// When a server could not use them.
    pub fn of(settings: &TlsSettings) -> Result<Self, TlsError> {
        reload::check(settings)?;
        let path = &settings.certificate;
        let ders = files::certificates(path, &files::read(path)?)?;
        let chain = facts(path, &ders)?;
        let Some(server) = ders.first().cloned() else {
            return Err(TlsError::Empty {
                path: path.clone(),
                expected: "certificate",
            });
        };
        let client_authorities = match &settings.client_ca {
            Some(path) => facts(path, &files::certificates(path, &files::read(path)?)?)?,
            None => Vec::new(),
        };
        let client_lists_due = match &settings.client_crl {
            Some(path) => {
                let lists = files::revocation_lists(path, &files::read(path)?)?;
                lists
                    .iter()
                    .filter_map(|der| <CertificateList>::from_der(der.as_ref()).ok())
                    .filter_map(|list| list.tbs_cert_list.next_update)
                    .map(|due| due.to_system_time())
                    .collect()
            }
            None => Vec::new(),
        };
        Ok(Self {
            chain_fault: chain_fault(&chain, &ders),
            chain,
            client_authorities,
            client_lists_due,
            key_is_public: is_public(&settings.key),
            server,
        })
    }

    /// Whether the server's certificate is valid for a host name or an address.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let parsed = ParsedCertificate::try_from(&self.server);
        match (parsed, ServerName::try_from(host)) {
            (Ok(parsed), Ok(name)) => verify_server_name(&parsed, &name).is_ok(),
            _ => false,
        }
    }

    /// Whether `der` is the server's certificate of the file.
    #[must_use]
    pub fn is_server(&self, der: &[u8]) -> bool {
        self.server.as_ref() == der
    }
}

/// When the certificate `der` expires, if it is one.
#[must_use]
pub fn expiry(der: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(validity.not_after.to_system_time())
}

fn facts(path: &Path, ders: &[CertificateDer<'_>]) -> Result<Vec<CertificateFacts>, TlsError> {
    let malformed = || TlsError::Malformed {
        path: path.to_owned(),
        expected: "certificate",
    };
    ders.iter()
        .map(|der| facts_of(der.as_ref()).ok_or_else(malformed))
        .collect()
}

fn facts_of(der: &[u8]) -> Option<CertificateFacts> {
    let certificate = Certificate::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let alternative = certificate.get_extension::<SubjectAltName>().ok()?;
    let names = alternative.map(|(_, SubjectAltName(names))| names);
    let access = certificate.get_extension::<AuthorityInfoAccessSyntax>();
    let access = access.ok().flatten();
    let validity = certificate.validity();
    Some(CertificateFacts {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names
            .iter()
            .flatten()
            .filter_map(name)
            .take(MOST_NAMES)
            .collect(),
        not_before: validity.not_before.to_system_time(),
        not_after: validity.not_after.to_system_time(),
        names_its_issuer: access
            .is_some_and(|(_, access)| access.0.iter().any(|one| is_issuer(&one.access_method))),
    })
}

/// `id-ad-caIssuers` (RFC 5280, section 4.2.2.1).
fn is_issuer(method: &impl ToString) -> bool {
    method.to_string() == "1.3.6.1.5.5.7.48.2"
}

fn name(general: &GeneralName) -> Option<String> {
    match general {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            four.or(sixteen).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Follows the chain to its last certificate. One that is not valid now is left to the reader of its facts.
fn chain_fault(chain: &[CertificateFacts], ders: &[CertificateDer<'static>]) -> Option<ChainFault> {
    let mut pairs = chain.iter().zip(chain.iter().skip(1));
    if let Some((one, next)) = pairs.find(|(one, next)| one.issuer != next.subject) {
        return Some(ChainFault::Order {
            subject: one.subject.clone(),
            issuer: one.issuer.clone(),
            next: next.subject.clone(),
        });
    }
    let now = SystemTime::now();
    let is_valid = |facts: &CertificateFacts| facts.not_before <= now && now <= facts.not_after;
    let [server, between @ .., last] = ders else {
        return None;
    };
    if !chain.iter().all(is_valid) {
        return None;
    }
    let mut roots = RootCertStore::empty();
    let verified = roots.add(last.clone()).and_then(|()| {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(server)?,
            &roots,
            between,
            UnixTime::now(),
            algorithms.all,
        )
    });
    verified.is_err().then_some(ChainFault::Signature)
}

fn is_public(path: &Path) -> bool {
    const OTHERS_READ: u32 = 0o004;
    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|file| file.mode() & OTHERS_READ != 0)
}
