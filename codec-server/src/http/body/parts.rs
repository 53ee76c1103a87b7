//! The bytes of a body in parts.

use std::mem;

use bytes::{Bytes, BytesMut};
use temporal_kms::support::{SecretVec, erase};

/// The bytes of a body, which are erased on drop. A small one has one part.
#[derive(Debug, Default)]
pub(in crate::http) struct Parts {
    last: SecretVec,
    /// What `last` can still take.
    room: usize,
    /// The parts before the last one.
    full: Vec<Part>,
    length: usize,
}

#[derive(Debug)]
enum Part {
    Copied(SecretVec),
    /// The buffer that the HTTP library has read into.
    Kept(Kept),
}

/// It is erased on drop, unless the HTTP library still has the buffer too.
#[derive(Debug)]
struct Kept(Bytes);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = erased(mem::take(&mut self.0));
    }
}

/// The same buffer without its bytes. `None` when another owner has it too.
fn erased(bytes: Bytes) -> Option<BytesMut> {
    let mut bytes = bytes.try_into_mut().ok()?;
    erase(&mut bytes);
    Some(bytes)
}

impl Part {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Kept(Kept(bytes)) => bytes,
        }
    }

    /// Drops it without erasing.
    fn discard(self) {
        match self {
            Self::Copied(bytes) => drop(bytes.into_inner()),
            Self::Kept(mut kept) => drop(mem::take(&mut kept.0)),
        }
    }
}

impl Parts {
    /// The length of all parts.
    pub(in crate::http) fn len(&self) -> usize {
        self.length
    }

    /// How many bytes can be appended.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// All parts.
    pub(in crate::http) fn slices(&self) -> Vec<&[u8]> {
        let full = self.full.iter().map(Part::as_slice);
        full.chain([self.last.as_slice()]).collect()
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
        self.full.into_iter().for_each(Part::discard);
        drop(self.last.into_inner());
    }

    /// Adds a copy of bytes, for which there must be room.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.last.extend_from_slice(bytes);
        self.room = self.room.saturating_sub(bytes.len());
        self.length += bytes.len();
    }

    /// Adds bytes where they are, as a part of their own.
    pub(super) fn keep(&mut self, bytes: Bytes) {
        self.end_part();
        self.length += bytes.len();
        self.full.push(Part::Kept(Kept(bytes)));
    }

    /// Begins another part with so much room.
    pub(super) fn begin(&mut self, room: usize) {
        self.end_part();
        (self.last, self.room) = (Vec::with_capacity(room).into(), room);
    }

    fn end_part(&mut self) {
        self.room = 0;
        let last = mem::take(&mut self.last);
        if !last.is_empty() {
            self.full.push(Part::Copied(last));
        }
    }
}

#[cfg(test)]
impl From<&[&[u8]]> for Parts {
    fn from(parts: &[&[u8]]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.begin(part.len());
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
        parts.begin(3);
        parts.append(b"abc");
        assert_eq!(parts.single(), Some(&b"abc"[..]));
        let kept = Bytes::from(b"de".to_vec());
        let places = [parts.slices()[0].as_ptr(), kept.as_ptr()];
        parts.keep(kept);
        parts.begin(2);
        parts.append(b"f");
        assert_eq!(parts.slices(), [&b"abc"[..], b"de", b"f"]);
        assert_eq!([0, 1].map(|part| parts.slices()[part].as_ptr()), places);
        assert_eq!((parts.len(), parts.room()), (6, 1));
        assert_eq!(parts.single(), None);
        assert_eq!(parts.joined().as_slice(), b"abcdef");
        parts.discard();
    }

    #[test]
    fn only_what_nobody_else_has_can_be_erased() {
        assert_eq!(erased(Bytes::from(vec![1; 9])).unwrap(), [0; 9].as_slice());
        let shared = Bytes::from(vec![2; 9]);
        assert_eq!(erased(shared.clone()), None);
        let mut parts = Parts::default();
        parts.keep(shared.clone());
        drop(parts);
        assert_eq!(shared, [2; 9].as_slice());
        assert_eq!(erased(shared).unwrap(), [0; 9].as_slice());
    }
}
