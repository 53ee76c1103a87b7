//! Keys at Google Cloud KMS: `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`.
//!
//! A context's canonical bytes are the service's additional authenticated data. Every call carries CRC32C checksums of
//! what it sends, and every answer's checksums are verified, as Google's data-integrity guide demands: what fails is
//! [`Integrity`](temporal_kms::ProviderErrorKind::Integrity), which is worth a retry. The service chooses the version: the
//! primary one encrypts, and a ciphertext names the one that decrypts it.
//!
//! Credentials are found by `google-cloud-auth`: the file that the options or `GOOGLE_APPLICATION_CREDENTIALS` name (service
//! account, workload identity, impersonation), `gcloud auth application-default login`, or the metadata server. An
//! endpoint of one's own is for emulators: it must be on this machine, and gets no credentials unless a file is named.
//!
//! Plaintext is erased here after use; the copies that the client library makes in its JSON are not.

mod admin;
mod checksum;
mod client;
mod commands;
mod credentials;
mod details;
mod diagnose;
mod error;
mod grant;
mod name;
mod provider;
mod service;
mod settings;
mod signer;
mod versions;

use std::sync::Arc;

use temporal_kms::{
    KeyAdmin, KeyProvider, KeyUri, ProviderError, ProviderErrorKind as Kind, Signer,
};

pub use self::settings::GcpOptions;
use self::{
    admin::GcpAdmin,
    client::{Service, shared},
    credentials::Settings,
    provider::GcpKey,
    signer::GcpSigner,
};

/// Cloud KMS as one caller sees it. Keys with the same options share their connections and tokens within the process.
#[derive(Clone, Debug, Default)]
pub struct GcpKms {
    options: Arc<GcpOptions>,
}

impl GcpKms {
    /// Cloud KMS with these options. Nothing is read or called yet.
    #[must_use]
    pub fn new(options: GcpOptions) -> Self {
        Self {
            options: Arc::new(options),
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
    /// When its name is not one of Cloud KMS, or the options are wrong for it.
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

    /// Creates keys and looks after them. `uri` names one of them, for errors; it need not exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        Ok(Arc::new(GcpAdmin::new(self.connect(uri)?)))
    }

    /// The service that keys with the same settings share.
    fn connect(&self, uri: &KeyUri) -> Result<Arc<Service>, ProviderError> {
        check_name(uri)?;
        Ok(shared(Settings::new(uri, &self.options)?))
    }
}

/// A name becomes part of a URL: nothing in it may change which one.
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
        .with_detail("its name has characters that no resource of Cloud KMS has"))
}
