//! A secret that a test looks for in its own process, where the test itself must not hold it.

use memchr::memchr_iter;

/// Every byte is changed by these bits.
const MASK: u8 = 0x5a;

/// Bytes in masked form. They are unmasked one by one.
#[derive(Clone, Debug)]
pub struct Masked(Vec<u8>);

impl Masked {
    /// Masks bytes as they come.
    #[must_use]
    pub fn of(bytes: impl Iterator<Item = u8>) -> Self {
        Self(bytes.map(|byte| byte ^ MASK).collect())
    }

    /// The bytes themselves.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|masked| masked ^ MASK)
    }

    /// The masked form, which [`Masked::from`] takes.
    #[must_use]
    pub fn into_inner(self) -> Vec<u8> {
        self.0
    }

    /// Whether `haystack` holds the bytes themselves.
    pub(crate) fn is_in(&self, haystack: &[u8]) -> bool {
        let Some((first, rest)) = self.0.split_first() else {
            return true;
        };
        memchr_iter(first ^ MASK, haystack).any(|at| {
            let behind = haystack.get(at + 1..).unwrap_or_default();
            let found = behind.get(..rest.len());
            found.is_some_and(|found| {
                found
                    .iter()
                    .zip(rest)
                    .all(|(byte, masked)| byte ^ MASK == *masked)
            })
        })
    }
}

/// Bytes that are masked already.
impl From<Vec<u8>> for Masked {
    fn from(masked: Vec<u8>) -> Self {
        Self(masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_secret_is_found_in_the_clear_only() {
        let secret = Masked::of(b"a secret".iter().copied());
        assert_eq!(secret.bytes().collect::<Vec<_>>(), b"a secret");
        for (haystack, holds) in [
            ("a secret", true),
            ("so a a secret here", true),
            ("a secre", false),
            ("a sEcret", false),
            ("", false),
        ] {
            assert_eq!(secret.is_in(haystack.as_bytes()), holds, "{haystack}");
        }
        let masked = secret.clone().into_inner();
        assert!(!secret.is_in(&masked));
        assert!(Masked::from(masked).is_in(b"a secret"));
    }
}
