//! Binds a context to a wrapped key, for services that wrap keys without additional data.
//!
//! The service wraps a one-time key. In this process, that key seals the plaintext by AES-256-GCM under a constant
//! nonce, with the context as additional data. A wrong context fails authentication, and so does any changed byte.
//!
//! ```text
//! wrapped one-time key ‖ AES-256-GCM ciphertext ‖ tag(16)
//! ```

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::{
    aead::{Aes256Gcm, KEY_LEN, NONCE_LEN, TAG_LEN, Unauthentic},
    random::{self, NoRandomness},
};

/// Each key seals once, so its nonce may be constant.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// A key that seals one plaintext. It is erased when it is dropped.
pub struct OneTimeKey(Zeroizing<[u8; KEY_LEN]>);

impl OneTimeKey {
    /// Its length in bytes.
    pub const LEN: usize = KEY_LEN;
    /// The bytes that sealing adds to a plaintext, beside the wrapped key.
    pub const OVERHEAD: usize = TAG_LEN;

    /// A new key.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        random::fill_from_system(&mut *key).map_err(|_| NoRandomness)?;
        Ok(Self(key))
    }

    /// The key that a service has unwrapped; `None` if it has another length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let key = <[u8; KEY_LEN]>::try_from(bytes).ok()?;
        Some(Self(Zeroizing::new(key)))
    }

    /// The bytes that the service wraps.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals `plaintext`, bound to `context`, behind the wrapped form of this key.
    ///
    /// # Errors
    /// When the plaintext is longer than AES-GCM permits.
    pub fn seal(
        self,
        wrapped: Vec<u8>,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, Unauthentic> {
        let mut sealed = wrapped;
        let start = sealed.len();
        sealed.extend_from_slice(plaintext);
        Aes256Gcm::new(&self.0).seal(NONCE, context, &mut sealed, start)?;
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) appended to the wrapped key.
    ///
    /// # Errors
    /// When it was sealed by another key or under another context, or was altered.
    pub fn open(self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unauthentic> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let len = Aes256Gcm::new(&self.0)
            .open(NONCE, context, &mut buffer)?
            .len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

impl fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_it() {
        let sealed = OneTimeKey(Zeroizing::new([7; KEY_LEN]))
            .seal(b"wrapped".to_vec(), b"secret", b"context")
            .unwrap();
        let (wrapped, sealed) = sealed.split_at(7);
        assert_eq!(wrapped, b"wrapped");
        assert_eq!(sealed.len(), 6 + OneTimeKey::OVERHEAD);
        let open = |key: u8, sealed: &[u8], context: &[u8]| {
            let key = OneTimeKey::from_slice(&[key; KEY_LEN]).unwrap();
            key.open(sealed, context)
        };
        assert_eq!(*open(7, sealed, b"context").unwrap(), b"secret");
        assert!(open(8, sealed, b"context").is_err());
        assert!(open(7, sealed, b"other").is_err());
        let mut altered = sealed.to_vec();
        altered[0] ^= 1;
        assert!(open(7, &altered, b"context").is_err());
        assert!(open(7, b"", b"context").is_err());
    }

    #[test]
    fn a_key_is_not_shown_and_has_its_length() {
        let key = OneTimeKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "OneTimeKey(..)");
        assert!(OneTimeKey::from_slice(&[0; 16]).is_none());
    }
}
