//! Data keys, unwrapped and wrapped.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{aead, keys::KeySchedule, random};

/// A wrapped key has a few hundred bytes at every KMS. A longer one is refused before any call.
pub(crate) const MAX_WRAPPED_LEN: usize = 16 * 1024;

/// A data key: 32 random bytes that seal payloads and leave the process only wrapped by a KMS.
///
/// It is erased when dropped, cannot be cloned, and shows nothing of itself in `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dek([u8; Dek::LEN]);

impl Dek {
    /// The length in bytes: AES-256.
    pub const LEN: usize = aead::KEY_LEN;

    /// Takes the bytes of a data key that already exists. The caller erases its own copy.
    #[must_use]
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Takes what a KMS unwrapped, if it has a data key's length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut dek = Self([0; Self::LEN]);
        if bytes.len() != Self::LEN {
            return None;
        }
        dek.0.copy_from_slice(bytes);
        Some(dek)
    }

    /// A new data key from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> std::io::Result<Self> {
        let mut dek = Self([0; Self::LEN]);
        random::fill_from_system(&mut dek.0).map_err(std::io::Error::from)?;
        Ok(dek)
    }

    /// The key itself, for wrapping it.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}

/// A data key as a KMS wrapped it. It is not secret: only a caller who may use the KMS key can unwrap it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedDek(Vec<u8>);

impl WrappedDek {
    /// Takes the KMS's bytes as they are.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that the KMS unwraps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WrappedDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedDek({} bytes)", self.0.len())
    }
}

/// An unwrapped data key, ready to seal and open: the extracted key schedule beside the key.
pub(crate) struct DataKey {
    dek: Dek,
    schedule: KeySchedule,
    proven: AtomicBool,
}

impl DataKey {
    pub(crate) fn new(dek: Dek) -> Self {
        Self {
            schedule: KeySchedule::new(&dek),
            dek,
            proven: AtomicBool::new(false),
        }
    }

    /// Records that this is the right key: it has opened a message, or the KMS gave it twice.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Relaxed);
    }

    /// Whether a message that this key does not open must be at fault, and not the KMS that gave the key.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }

    /// Takes the same time for every answer.
    pub(crate) fn is_same(&self, other: &Dek) -> bool {
        self.dek.expose().ct_eq(other.expose()).into()
    }

    pub(crate) fn schedule(&self) -> &KeySchedule {
        &self.schedule
    }

    /// The data key itself as a cipher: envelope version 1 seals under it directly.
    pub(crate) fn cipher(&self) -> aead::Aes256Gcm {
        aead::Aes256Gcm::new(self.dek.expose())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        let dek = Dek::new([0xAB; 32]);
        let data_key = DataKey::new(Dek::new([0xAB; 32]));
        assert_eq!(format!("{dek:?} {data_key:?}"), "Dek(..) DataKey(..)");
        assert_eq!(
            format!("{:?}", WrappedDek::new(vec![0xAB; 5])),
            "WrappedDek(5 bytes)"
        );
    }

    #[test]
    fn has_one_length_only() {
        assert!(Dek::from_slice(&[1; 32]).is_some());
        assert!(
            [0, 16, 31, 33, 64, 4097]
                .iter()
                .all(|&len| Dek::from_slice(&vec![1; len]).is_none())
        );
    }

    #[test]
    fn new_keys_differ() {
        assert_ne!(
            Dek::generate().unwrap().expose(),
            Dek::generate().unwrap().expose()
        );
    }
}
