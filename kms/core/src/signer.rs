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
    /// When the version does not exist ([`ProviderError::with_missing_version`]), or the service refuses or fails.
    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError>;

    /// Whether `signature` is a signature of `data` by this key. For many signatures there is
    /// [`SignatureVerifier`](crate::SignatureVerifier). The default fetches the public key of the version that
    /// the signature names, and verifies in this process. The answer is `false` for altered data, another key, another
    /// version and another algorithm. It is also `false`, without a call, for versions of more than 256 bytes.
    ///
    /// # Errors
    /// When the service refuses or fails, so that the answer is unknown.
    async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        if signature.key != *self.uri() || names_impossible_version(signature) {
            return Ok(false);
        }
        let Some(key) = look_up(self, signature.version.as_deref()).await? else {
            check_exists(self).await?;
            return Ok(false);
        };
        Ok(key.verify(data, signature))
    }
}

/// Longer than the version of any service, in bytes.
const MAX_VERSION: usize = 256;

/// Whether no key can have the version that `signature` names. Strangers can write anything there.
pub(crate) fn names_impossible_version(signature: &Signature) -> bool {
    let version = signature.version.as_deref();
    version.is_some_and(|version| version.len() > MAX_VERSION)
}

/// The public key of a version that a signature names. `None` when the service does not have the version. Then
/// [`check_exists`] tells whether it has the key.
pub(crate) async fn look_up<S: Signer + ?Sized>(
    signer: &S,
    version: Option<&str>,
) -> Result<Option<PublicKey>, ProviderError> {
    match signer.public_key(version).await {
        Ok(key) => Ok(Some(key)),
        Err(error) if version.is_some() && error.kind() == ProviderErrorKind::KeyNotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Tells a key without a certain version from a key that does not exist.
pub(crate) async fn check_exists<S: Signer + ?Sized>(signer: &S) -> Result<(), ProviderError> {
    signer.public_key(None).await.map(drop)
}
