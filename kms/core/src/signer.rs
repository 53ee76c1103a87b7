//! Signing keys: the [`Signer`] trait.

use std::fmt;

use async_trait::async_trait;

use crate::{KeyUri, ProviderError, ProviderErrorKind, PublicKey, Signature};

/// A signing key at a key management service.
///
/// ECDSA signs the SHA-256 digest of the data, and only the digest leaves the process. Ed25519 signs the data itself,
/// as RFC 8032 says.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// The key's name.
    fn uri(&self) -> &KeyUri;

    /// Signs `data` with the newest usable version of the key.
    ///
    /// # Errors
    /// When the service refuses or fails.
    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError>;

    /// Fetches the public key of one version, for verifying without the service. Without a `version`, it is the key of
    /// the newest usable version.
    ///
    /// # Errors
    /// When the version does not exist, or the service refuses or fails.
    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError>;

    /// Whether `signature` is a signature of `data` by this key. For many signatures there is
    /// [`SignatureVerifier`](crate::SignatureVerifier). The default fetches the public key of the version that
    /// the signature names, and verifies in this process. The answer is `false` for altered data, another key, another
    /// version and another algorithm.
    ///
    /// # Errors
    /// When the service refuses or fails, so that the answer is unknown.
    async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        if signature.key != *self.uri() {
            return Ok(false);
        }
        let key = public_key_of(self, signature.version.as_deref()).await?;
        Ok(key.is_some_and(|key| key.verify(data, signature)))
    }
}

/// The public key of a version that a signature names. `None` when the key has no such version.
pub(crate) async fn public_key_of<S: Signer + ?Sized>(
    signer: &S,
    version: Option<&str>,
) -> Result<Option<PublicKey>, ProviderError> {
    match signer.public_key(version).await {
        Ok(key) => Ok(Some(key)),
        // The version does not exist, or the whole key does not.
        Err(error) if error.kind() == ProviderErrorKind::KeyNotFound => {
            signer.public_key(None).await.map(|_| None)
        }
        Err(error) => Err(error),
    }
}
