//! Signs with the keys of a keyset.

use ed25519_dalek::Signer as _;
use p256::ecdsa::DerSignature;

use super::{Keyset, KeysetError, State, material::Material};
use temporal_kms::{PublicKey, SignatureAlgorithm};

/// Why a key has no usable public key.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum NoPublicKey {
    /// The keyset holds the key, but it is not enabled.
    Disabled,
    /// The keyset does not hold the key.
    Absent,
}

impl Keyset {
    /// Signs with the primary key. Returns the key's id, its algorithm, and the signature without Tink's prefix.
    pub(in super::super) fn sign(
        &self,
        data: &[u8],
    ) -> Result<(u32, SignatureAlgorithm, Vec<u8>), KeysetError> {
        let (algorithm, bytes) = match self.primary_material()? {
            // SHA-256, with a nonce derived from key and digest (RFC 6979).
            Material::EcdsaP256(key) => {
                let signature: DerSignature = key.sign(data);
                (
                    SignatureAlgorithm::EcdsaP256Sha256,
                    signature.as_bytes().to_vec(),
                )
            }
            Material::Ed25519(key) => {
                let signature = key.sign(data);
                (SignatureAlgorithm::Ed25519, signature.to_bytes().to_vec())
            }
            Material::Aes256Gcm(_) => return Err(KeysetError::WrongPurpose("they encrypt")),
        };
        Ok((self.primary, algorithm, bytes))
    }

    /// The public key of one enabled key.
    pub(in super::super) fn public_key(&self, id: &str) -> Result<PublicKey, NoPublicKey> {
        let mut error = NoPublicKey::Absent;
        for key in self.keys.iter().filter(|key| key.id.to_string() == id) {
            let public = match &key.state {
                State::Enabled(Material::EcdsaP256(key)) => {
                    PublicKey::from_p256_point(key.verifying_key().to_sec1_point(true).as_bytes())
                }
                State::Enabled(Material::Ed25519(key)) => {
                    PublicKey::from_ed25519_bytes(key.verifying_key().as_bytes())
                }
                State::Enabled(Material::Aes256Gcm(_)) => continue,
                State::Disabled(_) | State::Destroyed => {
                    error = NoPublicKey::Disabled;
                    continue;
                }
            };
            if let Ok(public) = public {
                return Ok(public);
            }
        }
        Err(error)
    }
}
