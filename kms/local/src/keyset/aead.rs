//! Tink's AEAD over the keys of a keyset.

use zeroize::Zeroizing;

use super::{Keyset, KeysetError, State, material::Material, system_random};
use temporal_kms::support::{
    TINK_PREFIX,
    aead::{Aes256Gcm, NONCE_LEN, TAG_LEN},
};

const PREFIX_LEN: usize = 5;
const OVERHEAD: usize = PREFIX_LEN + NONCE_LEN + TAG_LEN;

/// Why a ciphertext does not open.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum OpenError {
    /// The keyset holds the key that sealed it, but this key is not enabled.
    Disabled(u32),
    /// It names a key that is not in the keyset.
    UnknownKey(u32),
    /// It is not authentic.
    NotAuthentic,
}

impl Keyset {
    /// Seals under the primary key.
    pub(in super::super) fn seal(
        &self,
        plaintext: &[u8],
        additional: &[u8],
    ) -> Result<Vec<u8>, KeysetError> {
        let Material::Aes256Gcm(key) = self.primary_material()? else {
            return Err(KeysetError::WrongPurpose("they sign"));
        };
        let mut nonce = [0; NONCE_LEN];
        system_random(&mut nonce)?;
        let mut sealed = Vec::with_capacity(OVERHEAD + plaintext.len());
        sealed.push(TINK_PREFIX);
        sealed.extend_from_slice(&self.primary.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        Aes256Gcm::new(key)
            .seal(nonce, additional, &mut sealed, PREFIX_LEN + NONCE_LEN)
            .map_err(|_| KeysetError::Key {
                id: self.primary,
                reason: "it cannot seal that much",
            })?;
        Ok(sealed)
    }

    /// Opens a ciphertext of any enabled key of the keyset.
    pub(in super::super) fn open(
        &self,
        sealed: &[u8],
        additional: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (&[prefix, ref id @ ..], rest) = sealed
            .split_first_chunk::<PREFIX_LEN>()
            .ok_or(OpenError::NotAuthentic)?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(OpenError::NotAuthentic)?;
        if prefix != TINK_PREFIX {
            return Err(OpenError::NotAuthentic);
        }
        let id = u32::from_be_bytes(*id);

        let mut error = OpenError::UnknownKey(id);
        for key in self.with_id(id) {
            error = match &key.state {
                State::Enabled(Material::Aes256Gcm(key)) => {
                    let mut buffer = Zeroizing::new(ciphertext.to_vec());
                    if let Ok(plaintext) = Aes256Gcm::new(key).open(*nonce, additional, &mut buffer)
                    {
                        let len = plaintext.len();
                        buffer.truncate(len);
                        return Ok(buffer);
                    }
                    OpenError::NotAuthentic
                }
                State::Enabled(_) => OpenError::NotAuthentic,
                State::Disabled(_) | State::Destroyed => OpenError::Disabled(id),
            };
        }
        Err(error)
    }
}
