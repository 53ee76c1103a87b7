//! The name of a wrapped data key, or of a ciphertext of direct mode, in caches.

use sha2::{Digest as _, Sha256};

use crate::{EncryptionContext, KeyUri, WrappedDek};

/// Stands for one wrapped key under one context, or one ciphertext of direct mode: SHA-256 over it and the key that made
/// it, each with its length before it. It holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn new(key: &KeyUri, wrapped: &WrappedDek, context: &EncryptionContext) -> Self {
        Self::of(key, &[wrapped.as_bytes(), context.as_bytes()])
    }

    /// A payload of direct mode. It has one part less than a wrapped key, so the two never have one name.
    pub(crate) fn direct(key: &KeyUri, ciphertext: &[u8]) -> Self {
        Self::of(key, &[ciphertext])
    }

    /// Another key of the same wrapped key: for the call that asks a second time.
    pub(super) fn again(&self) -> Self {
        Self(Sha256::digest(self.0).into())
    }

    fn of(key: &KeyUri, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.scheme().as_str());
        for part in [key.resource().as_bytes()].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_keys_differ_in_every_part() {
        let make = |uri: &str, wrapped: &[u8], context: &[u8]| {
            CacheKey::new(
                &uri.parse().unwrap(),
                &WrappedDek::new(wrapped.to_vec()),
                &EncryptionContext::parse(context).unwrap(),
            )
        };
        let base = make("local://a", b"w", br#"{"namespace":"n"}"#);
        assert!(base == make("local://a", b"w", br#"{"namespace":"n"}"#));
        assert!(base != make("local://b", b"w", br#"{"namespace":"n"}"#));
        assert!(base != make("local://a", b"v", br#"{"namespace":"n"}"#));
        assert!(base != make("local://a", b"w", br#"{"namespace":"m"}"#));
        assert!(base != make("local://a", b"w", b""));
        assert!(
            make("local://ab", b"c", b"") != make("local://a", b"bc", b""),
            "parts run together"
        );
        let direct = CacheKey::direct(&"local://a".parse().unwrap(), b"w");
        assert!(direct != make("local://a", b"w", b""));
    }
}
