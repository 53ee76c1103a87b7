//! Signing keys: the [`Signer`] trait.

use std::fmt;

use async_trait::async_trait;

use crate::{KeyUri, ProviderError, ProviderErrorKind, PublicKey, Signature};

/// A signing key at a key management service.
///
/// ECDSA signs the SHA-256 digest of the data; only the digest leaves the process. Ed25519 signs the data itself, as
/// RFC 8032 has it.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// The key's name.
    fn uri(&self) -> &KeyUri;

    /// Signs `data` with the newest usable version of the key.
    ///
    /// # Errors
    /// When the service refuses or fails.
    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError>;

    /// Fetches the public key of one version, for verifying without the service; the newest usable one's when
    /// `version` is `None`.
    ///
    /// # Errors
    /// When there is no such version, or the service refuses or fails.
    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError>;

    /// Whether `signature` is one of `data` by this key. The default fetches the public key of the version that the
    /// signature names and verifies here. Data that were altered, another key or version of it and another algorithm
    /// are `false`.
    ///
    /// # Errors
    /// When it cannot be told, because the service refuses or fails.
    async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        if signature.key != *self.uri() {
            return Ok(false);
        }
        match self.public_key(signature.version.as_deref()).await {
            Ok(key) => Ok(key.verify(data, signature)),
            // The key has no such version; unless there is no such key.
            Err(error) if error.kind() == ProviderErrorKind::KeyNotFound => {
                self.public_key(None).await.map(|_| false)
            }
            Err(error) => Err(error),
        }
    }
}
