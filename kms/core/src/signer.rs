//! Signing keys: the [`Signer`] trait.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{ProviderError, ProviderErrorKind, PublicKey};
use crate::KeyUri;

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

/// The first byte of what keys with the output prefix `TINK` make.
const TINK_PREFIX: u8 = 1;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA with P-256 and SHA-256 (FIPS 186-5): `EC_SIGN_P256_SHA256` at Cloud KMS, `ECDSA_SHA_256` with
    /// `ECC_NIST_P256` at AWS KMS.
    #[serde(rename = "ECDSA_P256_SHA256")]
    EcdsaP256Sha256,
    /// Ed25519 (RFC 8032).
    #[serde(rename = "ED25519")]
    Ed25519,
}

/// A signature, and what it takes to verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key that signed.
    pub key: KeyUri,
    /// The key's version, in the service's own words; `None` where a key has one version only.
    pub version: Option<String>,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
    /// ASN.1 DER of `r` and `s` for ECDSA (RFC 3279, section 2.2.3), 64 bytes for Ed25519.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// The signature as Tink writes it for a key with output prefix `TINK`: `0x01 ‖ key id(4, big endian) ‖ bytes`.
    /// `None` when the version is not a key id of a Tink keyset.
    #[must_use]
    pub fn to_tink(&self) -> Option<Vec<u8>> {
        let id: u32 = self.version.as_deref()?.parse().ok()?;
        let mut tink = Vec::with_capacity(5 + self.bytes.len());
        tink.push(TINK_PREFIX);
        tink.extend_from_slice(&id.to_be_bytes());
        tink.extend_from_slice(&self.bytes);
        Some(tink)
    }

    /// Reads what Tink signed with a key with output prefix `TINK`. Tink does not write the algorithm: it comes from
    /// the key. `None` when `tink` does not start as such a signature does.
    #[must_use]
    pub fn from_tink(key: KeyUri, algorithm: SignatureAlgorithm, tink: &[u8]) -> Option<Self> {
        let (&[prefix, ref id @ ..], bytes) = tink.split_first_chunk::<5>()?;
        (prefix == TINK_PREFIX).then(|| Self {
            key,
            version: Some(u32::from_be_bytes(*id).to_string()),
            algorithm,
            bytes: bytes.to_vec(),
        })
    }
}
