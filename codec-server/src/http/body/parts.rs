//! The bytes of a body in parts.

use std::mem;

use temporal_kms::support::SecretVec;

/// The bytes of a body. A small one has one part.
#[derive(Debug, Default)]
pub(in crate::http) struct Parts {
    last: SecretVec,
    /// The parts before the last one, which are full.
    full: Vec<SecretVec>,
    length: usize,
    capacity: usize,
}

impl Parts {
    /// The length of all parts.
    pub(in crate::http) fn len(&self) -> usize {
        self.length
    }

    /// The memory of all parts.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// All parts.
    pub(in crate::http) fn slices(&self) -> Vec<&[u8]> {
        let parts = self.full.iter().chain([&self.last]);
        parts.map(|part| part.as_slice()).collect()
    }

    /// The one part of a small body.
    pub(in crate::http) fn single(&self) -> Option<&[u8]> {
        self.full.is_empty().then_some(self.last.as_slice())
    }

    /// A copy in one part.
    pub(in crate::http) fn joined(&self) -> SecretVec {
        self.slices().concat().into()
    }

    /// Drops them without erasing: for ciphertext.
    pub(in crate::http) fn discard(self) {
        for part in self.full.into_iter().chain([self.last]) {
            drop(part.into_inner());
        }
    }

    /// Adds bytes, for which there must be room.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.last.extend_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Begins another part, so that `capacity` bytes have room in all. `last` must be full.
    pub(super) fn grow(&mut self, capacity: usize) {
        let part = Vec::with_capacity(capacity - self.length);
        let full = mem::replace(&mut self.last, part.into());
        if !full.is_empty() {
            self.full.push(full);
        }
        self.capacity = capacity;
    }
}

#[cfg(test)]
impl From<&[&[u8]]> for Parts {
    fn from(parts: &[&[u8]]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.grow(all.length + part.len());
            all.append(part);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_where_they_are() {
        let mut parts = Parts::default();
        parts.grow(3);
        parts.append(b"abc");
        let place = parts.slices()[0].as_ptr();
        assert_eq!(parts.single(), Some(&b"abc"[..]));
        parts.grow(5);
        parts.append(b"de");
        assert_eq!(parts.slices(), [&b"abc"[..], b"de"]);
        assert_eq!(parts.slices()[0].as_ptr(), place);
        assert_eq!((parts.len(), parts.capacity()), (5, 5));
        assert_eq!(parts.single(), None);
        assert_eq!(parts.joined().as_slice(), b"abcde");
        parts.discard();
    }
}
