use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{DerSignature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::Algorithm;

const NONCE: usize = 12;
/// Marks a ciphertext of this emulator.
const MAGIC: &[u8] = b"\x0a\x24\x00";

/// The operating system gave no randomness, or an input has a size that no request reaches.
#[derive(Debug)]
pub(crate) struct MaterialError;

/// The secret part of one version: 32 bytes, an AES-256 key or a P-256 scalar.
///
/// A ciphertext is `0a2400 ‖ id(16) ‖ nonce(12) ‖ AES-256-GCM ciphertext ‖ tag(16)`; the id finds the version again, and is
/// authenticated along with the caller's additional data.
pub(crate) struct Material {
    id: [u8; 16],
    secret: [u8; 32],
}

impl Material {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, MaterialError> {
        loop {
            let mut material = Self {
                id: [0; 16],
                secret: [0; 32],
            };
            getrandom::fill(&mut material.id).map_err(|_| MaterialError)?;
            getrandom::fill(&mut material.secret).map_err(|_| MaterialError)?;
            // Not every 32 bytes are a scalar.
            if algorithm == Algorithm::GoogleSymmetricEncryption || material.signing_key().is_ok() {
                return Ok(material);
            }
        }
    }

    pub(crate) fn encrypt(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| MaterialError)?;
        let sealed = self
            .cipher()
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: plaintext,
                    aad: &self.bound(aad),
                },
            )
            .map_err(|_| MaterialError)?;
        Ok([MAGIC, &self.id, &nonce, &sealed].concat())
    }

    /// Whether this version made `ciphertext`.
    pub(crate) fn made(&self, ciphertext: &[u8]) -> bool {
        ciphertext
            .strip_prefix(MAGIC)
            .is_some_and(|rest| rest.starts_with(&self.id))
    }

    /// `None` where the ciphertext or the additional data were altered.
    pub(crate) fn decrypt(&self, ciphertext: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let rest = ciphertext.strip_prefix(MAGIC)?.strip_prefix(&self.id)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: &self.bound(aad),
        };
        self.cipher().decrypt(&(*nonce).into(), payload).ok()
    }

    /// An ECDSA signature of a SHA-256 digest, in DER.
    pub(crate) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let signature: DerSignature = self
            .signing_key()?
            .sign_prehash(digest)
            .map_err(|_| MaterialError)?;
        Ok(signature.as_bytes().to_vec())
    }

    /// The public key as PEM.
    pub(crate) fn public_key(&self) -> Result<String, MaterialError> {
        self.signing_key()?
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| MaterialError)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&self.secret).into())
    }

    fn signing_key(&self) -> Result<SigningKey, MaterialError> {
        SigningKey::from_slice(&self.secret).map_err(|_| MaterialError)
    }

    fn bound(&self, aad: &[u8]) -> Vec<u8> {
        [&self.id, aad].concat()
    }
}

impl Serialize for Material {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&STANDARD.encode([&self.id[..], &self.secret].concat()))
    }
}

impl<'de> Deserialize<'de> for Material {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let invalid = || D::Error::custom("no key material");
        let bytes = STANDARD
            .decode(String::deserialize(input)?)
            .map_err(|_| invalid())?;
        let (id, secret) = bytes.split_first_chunk().ok_or_else(invalid)?;
        Ok(Self {
            id: *id,
            secret: secret.try_into().map_err(|_| invalid())?,
        })
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_its_own_under_the_same_additional_data_only() {
        let material = Material::generate(Algorithm::GoogleSymmetricEncryption).unwrap();
        let other = Material::generate(Algorithm::GoogleSymmetricEncryption).unwrap();
        let sealed = material.encrypt(b"secret", b"context").unwrap();
        assert!(material.made(&sealed) && !other.made(&sealed));
        assert_eq!(material.decrypt(&sealed, b"context").unwrap(), b"secret");
        assert_eq!(material.decrypt(&sealed, b""), None);
        assert_eq!(other.decrypt(&sealed, b"context"), None);
        for position in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[position] ^= 1;
            assert_eq!(material.decrypt(&flipped, b"context"), None, "{position}");
        }
    }

    #[test]
    fn is_stored_and_read_again() {
        let material = Material::generate(Algorithm::EcSignP256Sha256).unwrap();
        let stored = serde_json::to_string(&material).unwrap();
        let read: Material = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.public_key().unwrap(), material.public_key().unwrap());
        assert!(serde_json::from_str::<Material>(r#""AAAA""#).is_err());
    }
}
