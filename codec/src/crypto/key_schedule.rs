//! The key schedule of envelope version 2.
//!
//! ```text
//! PRK                               = HKDF-Extract-SHA256(salt = "temporal-kms-codec v2", IKM = data key)
//! message key(32) ‖ commitment(32)  = HKDF-Expand-SHA256(PRK, info = "message" ‖ message id, 64)
//! ```
//!
//! A sealed file has a key of its own likewise, bound to its whole header and the context:
//!
//! ```text
//! file key(32) ‖ commitment(32)     = HKDF-Expand-SHA256(PRK, info = "file" ‖ SHA-256(header ‖ context), 64)
//! ```
//!
//! Every message is sealed under a key of its own, so its nonce can be constant and one data key can seal any number
//! of messages. AES-GCM alone commits to no key: one ciphertext can be made to open under two. The commitment in the
//! header closes that; it is compared before anything is decrypted.
//!
//! HKDF: RFC 5869. Commitment by a second output of the key derivation: Albertini, Duong, Gueron, Kölbl, Luykx,
//! Schmieg, *How to Abuse and Fix Authenticated Encryption Without Key Commitment*, USENIX Security 2022.

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use temporal_kms::support::erase;

use super::hkdf::{Output, Prk};
use crate::{Dek, EncryptionContext, crypto::aead::Aes256Gcm};

pub(crate) const MESSAGE_ID_LEN: usize = 32;
pub(crate) const COMMITMENT_LEN: usize = 32;

/// 32 random bytes that tell the messages of one data key apart.
pub(crate) type MessageId = [u8; MESSAGE_ID_LEN];
/// Binds a message to its data key.
pub(crate) type Commitment = [u8; COMMITMENT_LEN];

const SALT: &[u8] = b"temporal-kms-codec v2";
const MESSAGE: &[u8] = b"message";
const FILE: &[u8] = b"file";

/// The pseudorandom key of one data key: extracted once, expanded for every message.
pub(crate) struct KeySchedule {
    prk: Prk,
}

/// What one message, or one file, is sealed with.
pub(crate) struct MessageKey {
    pub(crate) cipher: Aes256Gcm,
    pub(crate) commitment: Commitment,
}

impl KeySchedule {
    pub(crate) fn new(dek: &Dek) -> Self {
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(SALT), dek.expose());
        let schedule = Self {
            prk: Prk::new(prk.as_ref()),
        };
        erase(&mut prk);
        schedule
    }

    pub(crate) fn message_key(&self, id: &MessageId) -> MessageKey {
        self.expand(&[MESSAGE, id])
    }

    /// `header` is everything before the commitment.
    pub(crate) fn file_key(&self, header: &[u8], context: &EncryptionContext) -> MessageKey {
        // The header tells its own length, so nothing can move between the two.
        let bound = Sha256::new()
            .chain_update(header)
            .chain_update(context.as_bytes());
        self.expand(&[FILE, &bound.finalize()])
    }

    fn expand(&self, info: &[&[u8]]) -> MessageKey {
        let mut okm = Output::default();
        self.prk.expand(info, &mut okm);
        let [key, commitment] = &okm;
        let message_key = MessageKey {
            cipher: Aes256Gcm::new(key),
            commitment: *commitment,
        };
        erase(okm.as_flattened_mut());
        message_key
    }
}

impl MessageKey {
    /// Whether a header was written under this key. Takes the same time for every answer.
    pub(crate) fn is_committed_to(&self, commitment: &Commitment) -> bool {
        self.commitment.ct_eq(commitment).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_and_every_data_key_has_its_own_key() {
        let schedules = [[1; 32], [2; 32]].map(|bytes| KeySchedule::new(&Dek::new(bytes)));
        let [a, b] = schedules
            .each_ref()
            .map(|schedule| schedule.message_key(&[9; 32]));
        let c = schedules[0].message_key(&[8; 32]);
        let again = KeySchedule::new(&Dek::new([1; 32])).message_key(&[9; 32]);
        assert!(a.is_committed_to(&again.commitment));
        assert!(!a.is_committed_to(&b.commitment));
        assert!(!a.is_committed_to(&c.commitment));
    }
}
