//! Public keys, for verifying signatures without the service.

use std::fmt;

use ed25519_dalek::pkcs8::{
    DecodePublicKey as _, EncodePublicKey as _, spki::der::pem::LineEnding,
};
use p256::ecdsa::signature::Verifier as _;

use crate::{Signature, SignatureAlgorithm};

/// The public half of a signing key, for verifying signatures without the service that holds the private half.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Inner);

#[derive(Clone, PartialEq, Eq)]
enum Inner {
    EcdsaP256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// A text that is not a public key, or a public key of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the public key is not one for ECDSA on P-256 or Ed25519 in SubjectPublicKeyInfo form; use the file in which the \
     service gives its public key"
)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing to tell")]
pub struct PublicKeyError;

impl PublicKey {
    /// Reads a PEM `PUBLIC KEY` (RFC 7468, section 13).
    ///
    /// # Errors
    /// When the bytes are not a public key, or one of another kind.
    pub fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        // Some services omit the last line end, which the strict format requires.
        let pem = pem.trim();
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Self(Inner::EcdsaP256(key)));
        }
        ed25519_dalek::VerifyingKey::from_public_key_pem(pem)
            .map(|key| Self(Inner::Ed25519(key)))
            .map_err(|_| PublicKeyError)
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
    ///
    /// # Errors
    /// When the bytes are not a public key, or one of another kind.
    pub fn from_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(der) {
            return Ok(Self(Inner::EcdsaP256(key)));
        }
        ed25519_dalek::VerifyingKey::from_public_key_der(der)
            .map(|key| Self(Inner::Ed25519(key)))
            .map_err(|_| PublicKeyError)
    }

    /// Reads the point of a P-256 key in SEC 1 form, as hardware tokens and Tink keep it.
    ///
    /// # Errors
    /// When the bytes are not a point of the curve.
    pub fn from_p256_point(sec1: &[u8]) -> Result<Self, PublicKeyError> {
        p256::ecdsa::VerifyingKey::from_sec1_bytes(sec1)
            .map(|key| Self(Inner::EcdsaP256(key)))
            .map_err(|_| PublicKeyError)
    }

    /// Reads the 32 bytes of an Ed25519 key (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// When they are not a point of the curve.
    pub fn from_ed25519_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .map(|key| Self(Inner::Ed25519(key)))
            .map_err(|_| PublicKeyError)
    }

    /// How the key's private half signs.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            Inner::EcdsaP256(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Inner::Ed25519(_) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Whether `signature` is a signature of `data` by this key. The key's name in the signature is not checked.
    #[must_use]
    pub fn verify(&self, data: &[u8], signature: &Signature) -> bool {
        if signature.algorithm != self.algorithm() {
            return false;
        }
        match &self.0 {
            Inner::EcdsaP256(key) => p256::ecdsa::DerSignature::from_bytes(&signature.bytes)
                .is_ok_and(|signature| key.verify(data, &signature).is_ok()),
            Inner::Ed25519(key) => ed25519_dalek::Signature::from_slice(&signature.bytes)
                .is_ok_and(|signature| key.verify_strict(data, &signature).is_ok()),
        }
    }

    /// The key as a PEM `PUBLIC KEY`.
    ///
    /// # Errors
    /// Never for a key that this type has read. The encoder's own signature has an error.
    pub fn to_pem(&self) -> Result<String, PublicKeyError> {
        match &self.0 {
            Inner::EcdsaP256(key) => key.to_public_key_pem(LineEnding::LF),
            Inner::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
        }
        .map_err(|_| PublicKeyError)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm())
    }
}
