//! Signatures and their algorithms.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{ConfigurationError, KeyUri, text_form::text_form};

/// The first byte of signatures by keys with the output prefix `TINK`.
pub const TINK_PREFIX: u8 = 1;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA with P-256 and SHA-256 (FIPS 186-5): `EC_SIGN_P256_SHA256` at Cloud KMS, `ECDSA_SHA_256` with
    /// `ECC_NIST_P256` at AWS KMS.
    EcdsaP256Sha256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl SignatureAlgorithm {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ECDSA_P256_SHA256",
            Self::Ed25519 => "ED25519",
        }
    }
}

text_form!(SignatureAlgorithm);

impl FromStr for SignatureAlgorithm {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::EcdsaP256Sha256, Self::Ed25519]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| {
                let reason = "it must be `ECDSA_P256_SHA256` or `ED25519`";
                ConfigurationError::invalid("signature algorithm", reason)
            })
    }
}

impl<'de> Deserialize<'de> for SignatureAlgorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// A signature, with what its verification needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The key that signed.
    pub key: KeyUri,
    /// The key's version, in the service's own words. `None` if a key has only one version.
    pub version: Option<String>,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
    /// ASN.1 DER of `r` and `s` for ECDSA (RFC 3279, section 2.2.3), 64 bytes for Ed25519.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// A signature by `key` with `algorithm`.
    #[must_use]
    pub fn new(key: KeyUri, algorithm: SignatureAlgorithm, bytes: Vec<u8>) -> Self {
        Self {
            key,
            version: None,
            algorithm,
            bytes,
        }
    }

    /// Sets the key that signed.
    #[must_use]
    pub fn with_key(mut self, key: KeyUri) -> Self {
        self.key = key;
        self
    }

    /// Sets the version of the key that signed.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets how it was signed.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: SignatureAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets the bytes of the signature.
    #[must_use]
    pub fn with_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.bytes = bytes;
        self
    }

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

    /// Reads a Tink signature by a key with output prefix `TINK`. Tink does not write the algorithm, so it comes from
    /// the key. `None` when `tink` does not begin as such a signature does.
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
