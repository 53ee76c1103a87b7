//! Data keys, unwrapped and wrapped.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// At every KMS, a wrapped key has a few hundred bytes. A longer one is refused before any call.
pub const MAX_WRAPPED_LEN: usize = 16 * 1024;

/// A data key: 32 random bytes that seal payloads. It leaves the process only in wrapped form.
///
/// It is erased when dropped, cannot be cloned, and its `Debug` shows nothing.
///
/// Its bytes have one place in memory, and moving a `Dek` does not copy them.
pub struct Dek(Box<[u8; Dek::LEN]>);

impl Dek {
    /// The length in bytes: AES-256.
    pub const LEN: usize = 32;

    /// A data key whose bytes `fill` writes directly to their final place, so that no copy needs to be erased.
    #[must_use]
    pub fn init_with_mut(fill: impl FnOnce(&mut [u8; Self::LEN])) -> Self {
        let mut dek = Self(Box::new([0; Self::LEN]));
        fill(&mut dek.0);
        dek
    }

    /// As [`init_with_mut`](Self::init_with_mut), for a `fill` that can fail.
    ///
    /// # Errors
    /// The error of `fill`. The bytes that it wrote are erased.
    pub fn try_init_with_mut<E>(
        fill: impl FnOnce(&mut [u8; Self::LEN]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut filled = Ok(());
        let dek = Self::init_with_mut(|key| filled = fill(key));
        filled.map(|()| dek)
    }

    /// Copies the bytes of an existing data key, for tests and test vectors. The caller must erase its own copy, so use
    /// [`init_with_mut`](Self::init_with_mut) elsewhere.
    #[must_use]
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(Box::new(bytes))
    }

    /// Copies bytes that a KMS unwrapped, if they have a data key's length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        Some(Self::init_with_mut(|key| key.copy_from_slice(bytes)))
    }

    /// A new data key from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> std::io::Result<Self> {
        Self::try_init_with_mut(|key| getrandom::fill(key).map_err(std::io::Error::from))
    }

    /// The key's bytes, for wrapping.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl Drop for Dek {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Dek {}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}

/// A data key in wrapped form. It is not secret: only a caller who may use the KMS key can unwrap it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedDek(Vec<u8>);

impl WrappedDek {
    /// Keeps the KMS's bytes unchanged.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes for the KMS to unwrap.
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
    fn its_bytes_stay_in_one_place() {
        let mut place = std::ptr::null();
        let dek = Dek::init_with_mut(|key| {
            key.fill(7);
            place = key.as_ptr();
        });
        let moved = Box::new(dek);
        assert_eq!(moved.expose().as_ptr(), place);
        assert_eq!(moved.expose(), &[7; 32]);
        assert!(Dek::try_init_with_mut(|_| Err(())).is_err());
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
