//! The section `[tls]`.

use std::{path::PathBuf, time::Duration};

use crate::settings::{Section, values};

/// Where the certificates are, and what clients must show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// `certificate`: a PEM file with the server's certificate, and the intermediate ones after it.
    pub certificate: PathBuf,
    /// `key`: a PEM file with the certificate's private key.
    pub key: PathBuf,
    /// `client_ca`: a PEM file with the authorities whose client certificates are accepted. Default: client certificates
    /// are not asked for.
    pub client_ca: Option<PathBuf>,
    /// `client_crl`: a PEM file with the authorities' lists of revoked certificates.
    pub client_crl: Option<PathBuf>,
    /// `client_certificates`: whether every client must show one. Default: yes.
    pub client_certificates: ClientCertificates,
    /// `handshake_timeout`: for a client to finish the handshake. Default: 10 s.
    pub handshake_timeout: Duration,
    /// `reload_interval`: how often the files are looked at. Default: 30 s.
    pub reload_interval: Duration,
}

/// Whether every client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// A client without a certificate is refused.
    #[default]
    Required,
    /// A client without a certificate must prove who it is in another way, such as with a token.
    Optional,
}

impl TlsSettings {
    /// Certificate and key, with defaults for everything else.
    #[must_use]
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self {
            certificate,
            key,
            client_ca: None,
            client_crl: None,
            client_certificates: ClientCertificates::default(),
            handshake_timeout: Duration::from_secs(10),
            reload_interval: Duration::from_secs(30),
        }
    }

    /// What `[tls]` says. `None` when the section has no certificate.
    #[must_use]
    pub fn read(mut section: Section<'_>) -> Option<Self> {
        let certificate = section.text("certificate", path);
        let key = section.text("key", path);
        let mut settings = Self::new(PathBuf::new(), PathBuf::new());
        settings.client_ca = section.text("client_ca", path);
        settings.client_crl = section.text("client_crl", path);
        let mode = section.value("client_certificates", client_certificates);
        let timeout = &mut settings.handshake_timeout;
        section.set("handshake_timeout", timeout, values::timeout);
        let interval = &mut settings.reload_interval;
        section.set("reload_interval", interval, values::timeout);
        if settings.client_ca.is_none() && (mode.is_some() || settings.client_crl.is_some()) {
            section.report(
                "`client_certificates` and `client_crl` have no effect without `client_ca`; name the file of the \
                 authorities that sign your clients' certificates",
            );
        }
        settings.client_certificates = mode.unwrap_or_default();
        let read = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Self {
                certificate,
                key,
                ..settings
            }),
            (None, None) if settings.client_ca.is_none() => None,
            _ => {
                section.report("TLS needs `certificate` and `key`; name both files");
                None
            }
        };
        section.finish();
        read
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as every reader of a setting")]
fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

fn client_certificates(text: &str) -> Result<ClientCertificates, String> {
    match text {
        "required" => Ok(ClientCertificates::Required),
        "optional" => Ok(ClientCertificates::Optional),
        _ => Err("it must be \"required\" or \"optional\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(text: &str) -> Result<Option<TlsSettings>, String> {
        let text = format!("[tls]\n{text}");
        let settings = Settings::new("TEST_");
        let read = settings.parse(Some(&text), &|_| None, |document| {
            TlsSettings::read(document.section("tls"))
        });
        read.map_err(|problems| problems.iter().map(|one| one.message.clone()).collect())
    }

    #[test]
    fn certificate_and_key_belong_together() {
        assert_eq!(read(""), Ok(None));
        let both = "certificate = \"c\"\nkey = \"k\"\n";
        let settings = read(both).unwrap().unwrap();
        assert_eq!(settings, TlsSettings::new("c".into(), "k".into()));
        for part in ["certificate = \"c\"", "key = \"k\"", "client_ca = \"a\""] {
            assert!(
                read(part).unwrap_err().contains("name both files"),
                "{part}"
            );
        }
    }

    #[test]
    fn settings_for_client_certificates_need_an_authority() {
        let both = "certificate = \"c\"\nkey = \"k\"\n";
        for part in ["client_certificates = \"optional\"", "client_crl = \"l\""] {
            let error = read(&format!("{both}{part}")).unwrap_err();
            assert!(error.contains("without `client_ca`"), "{error}");
        }
        let all = format!("{both}client_ca = \"a\"\nclient_certificates = \"optional\"");
        let settings = read(&all).unwrap().unwrap();
        assert_eq!(settings.client_certificates, ClientCertificates::Optional);
    }
}
