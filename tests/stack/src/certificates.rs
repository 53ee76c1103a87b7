//! Certificates for tests: an authority, and what it signs.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// A certificate authority of one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct CertifiedKey {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
    serial: Vec<u8>,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server with these names or addresses.
    ///
    /// # Errors
    /// When a name is not one.
    pub fn server(&self, names: &[&str]) -> Result<CertifiedKey, Error> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names)?;
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// As [`server`](Self::server), expired long ago.
    ///
    /// # Errors
    /// When a name is not one.
    pub fn expired_server(&self, names: &[&str]) -> Result<CertifiedKey, Error> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client: its name is `DNS:NAME`, or a URI when it has `://`.
    ///
    /// # Errors
    /// When it is not a name.
    pub fn client(&self, name: &str) -> Result<CertifiedKey, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        let name = name.to_owned();
        params.subject_alt_names = vec![if name.contains("://") {
            SanType::URI(name.try_into()?)
        } else {
            SanType::DnsName(name.try_into()?)
        }];
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A list, in PEM, that revokes a certificate of this authority.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn revoke(&self, revoked: &CertifiedKey) -> Result<String, Error> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from_slice(&revoked.serial),
                revocation_time: date_time_ymd(2026, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer)?.pem()
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<CertifiedKey, Error> {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        // A part of the public key: different for each certificate.
        let public = key.public_key_raw();
        let mut serial = public.get(..16).unwrap_or(public).to_vec();
        // A positive number without leading zeros.
        if let Some(first) = serial.first_mut() {
            *first = 1;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        Ok(CertifiedKey {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
            serial,
        })
    }
}

impl CertifiedKey {
    /// Writes `certificate.pem` and `key.pem` into a folder, and returns their paths. Files of these names are replaced.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate)?;
        std::fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }
}
