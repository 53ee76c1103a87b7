//! Keys at Google Cloud KMS: `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`.
//!
//! A context's canonical bytes are the service's additional authenticated data. Every call carries CRC32C checksums of
//! what it sends, and every answer's checksums are verified, as Google's data-integrity guide demands: what fails is
//! [`Integrity`](super::ProviderErrorKind::Integrity), which is worth a retry. The service chooses the version: the
//! primary one encrypts, and a ciphertext names the one that decrypts it.
//!
//! Credentials are found by `google-cloud-auth`: the file that the options or `GOOGLE_APPLICATION_CREDENTIALS` name (service
//! account, workload identity, impersonation), `gcloud auth application-default login`, or the metadata server. An
//! endpoint of one's own is for emulators: it must be on this machine, and gets no credentials unless a file is named.
//!
//! Plaintext is erased here after use; the copies that the client library makes in its JSON are not.

mod admin;
mod checksum;
mod credentials;
mod details;
mod error;
mod grant;
mod provider;
mod service;
mod signer;
mod versions;

use std::sync::Arc;

use self::{
    admin::GcpAdmin,
    credentials::Settings,
    provider::GcpKey,
    service::{Service, shared},
    signer::GcpSigner,
};
use super::{KeyAdmin, KeyProvider, KmsOptions, ProviderError, ProviderErrorKind as Kind, Signer};
use crate::KeyUri;

pub(super) fn open(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn KeyProvider>, ProviderError> {
    let service = connect(uri, options)?;
    Ok(Arc::new(GcpKey::new(uri.clone(), service)))
}

pub(super) fn open_signer(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn Signer>, ProviderError> {
    let service = connect(uri, options)?;
    Ok(Arc::new(GcpSigner::new(uri.clone(), service)))
}

pub(super) fn open_admin(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
    let service = connect(uri, options)?;
    Ok(Arc::new(GcpAdmin::new(service)))
}

/// The service that keys with the same settings share.
fn connect(uri: &KeyUri, options: &KmsOptions) -> Result<Arc<Service>, ProviderError> {
    check_name(uri)?;
    Ok(shared(Settings::new(uri, options)?))
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
