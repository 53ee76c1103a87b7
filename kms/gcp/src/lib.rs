//! Keys at Google Cloud KMS: `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`.
//!
//! A context's canonical bytes are the service's additional authenticated data. Every call carries CRC32C checksums of
//! its data, and every answer's checksums are verified, as Google's data-integrity guide demands. A mismatch is the
//! error [`Integrity`](temporal_kms::ProviderErrorKind::Integrity), and a retry can help. The service chooses the
//! version: the primary version encrypts, and a ciphertext names the version that decrypts it.
//!
//! `google-cloud-auth` finds credentials: the file that the options or `GOOGLE_APPLICATION_CREDENTIALS` name (service
//! account, workload identity, impersonation), `gcloud auth application-default login`, or the metadata server. Another
//! endpoint is one of Google's own, such as an address of Private Service Connect, or an emulator on this machine. An
//! emulator gets credentials only if the options name a file.
//!
//! This crate erases plaintext after use. It cannot erase the copies that the client library makes in its JSON.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod checksum;
mod client;
mod commands;
mod credentials;
mod details;
mod diagnose;
mod endpoint;
mod error;
mod grant;
mod member;
mod name;
mod provider;
mod service;
mod settings;
mod setup;
mod signer;
mod versions;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use temporal_kms::{
    KeyAdmin, KeyProvider, KeyUri, ProviderError, ProviderErrorKind as Kind, Signer,
};

pub use self::settings::GcpOptions;
use self::{
    admin::GcpAdmin, client::Service, credentials::Settings, provider::GcpKey, signer::GcpSigner,
};

/// Cloud KMS with the settings of one caller. The keys that a value and its clones open share its connections and tokens,
/// also after the value is dropped. Another value reads the credentials again.
#[derive(Clone, Default)]
pub struct GcpKms {
    options: Arc<GcpOptions>,
    service: Arc<OnceLock<Arc<Service>>>,
}

impl GcpKms {
    /// Cloud KMS with these options. Nothing is read or called yet.
    #[must_use]
    pub fn new(options: GcpOptions) -> Self {
        Self {
            options: Arc::new(options),
            service: Arc::default(),
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &GcpOptions {
        &self.options
    }

    /// A key to wrap data keys with.
    ///
    /// # Errors
    /// When the key's name does not have Cloud KMS's form, or the options do not fit the key.
    pub fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        Ok(Arc::new(GcpKey::new(uri.clone(), self.connect(uri)?)))
    }

    /// A key to sign with.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        Ok(Arc::new(GcpSigner::new(uri.clone(), self.connect(uri)?)))
    }

    /// Opens key management. Errors name `uri`. That key need not exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        Ok(Arc::new(GcpAdmin::new(self.connect(uri)?)))
    }

    /// The service that the keys of this value share. `uri` is checked, and named in errors.
    fn connect(&self, uri: &KeyUri) -> Result<Arc<Service>, ProviderError> {
        check_name(uri)?;
        let settings = Settings::new(uri, &self.options)?;
        let service = self
            .service
            .get_or_init(|| Arc::new(Service::new(settings)));
        Ok(Arc::clone(service))
    }
}

impl fmt::Debug for GcpKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpKms")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A name becomes part of a URL, so it must not hold characters that lead to another URL.
fn check_name(uri: &KeyUri) -> Result<(), ProviderError> {
    let is_segment = |segment: &str| {
        let mut bytes = segment.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
            && segment.bytes().any(|byte| byte.is_ascii_alphanumeric())
    };
    if uri.resource().split('/').all(is_segment) {
        return Ok(());
    }
    Err(ProviderError::new(Kind::Misconfigured, uri)
        .with_detail("its name has characters that Cloud KMS does not allow")
        .with_remedy("correct its name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_value_share_a_connection_that_no_other_value_has() {
        let key = |name: &str| -> KeyUri {
            format!("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/{name}")
                .parse()
                .unwrap()
        };
        let kms = GcpKms::new(GcpOptions::default().with_endpoint("http://127.0.0.1:1"));
        let (clone, same_options) = (kms.clone(), GcpKms::new(kms.options().clone()));
        let service = kms.connect(&key("a")).unwrap();
        drop(kms);
        assert!(Arc::ptr_eq(&service, &clone.connect(&key("b")).unwrap()));
        let other = same_options.connect(&key("a")).unwrap();
        assert!(!Arc::ptr_eq(&service, &other));
    }
}
