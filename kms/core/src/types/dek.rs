//! Data keys, unwrapped and wrapped.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::random;

/// A wrapped key has a few hundred bytes at every KMS. A longer one is refused before any call.
pub const MAX_WRAPPED_LEN: usize = 16 * 1024;

/// A data key: 32 random bytes that seal payloads and leave the process only wrapped by a KMS.
///
/// It is erased when dropped, cannot be cloned, and shows nothing of itself in `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dek([u8; Dek::LEN]);

impl Dek {
    /// The length in bytes: AES-256.
    pub const LEN: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        let dek = Dek::new([0xAB; 32]);
        assert_eq!(format!("{dek:?}"), "Dek(..)");
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
