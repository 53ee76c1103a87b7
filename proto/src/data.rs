//! The data of a payload, in the buffer that they were decrypted in.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use zeroize::Zeroize as _;

/// Bytes that can be written around the data of a payload, so that the data need not be moved to be encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a buffer has two ends")]
pub struct Room {
    /// Bytes before the data.
    pub before: usize,
    /// Bytes behind the data.
    pub behind: usize,
}

/// The data of a payload. Other bytes may be before them in their buffer, so that the data need not be moved.
#[derive(Clone, Default)]
pub struct Data {
    buffer: Vec<u8>,
    start: usize,
}

impl Data {
    /// The data that begin at `start` of a buffer.
    #[must_use]
    pub const fn behind(start: usize, buffer: Vec<u8>) -> Self {
        Self { buffer, start }
    }

    /// The buffer, and where the data begin in it.
    #[must_use]
    pub fn into_buffer(self) -> (Vec<u8>, usize) {
        (self.buffer, self.start)
    }

    /// Whether there is so much room around the data.
    #[must_use]
    pub fn has_room(&self, room: Room) -> bool {
        let behind = self.buffer.capacity() - self.buffer.len();
        self.start.min(self.buffer.len()) >= room.before && behind >= room.behind
    }

    /// The data in a buffer without other bytes. They are moved in it if other bytes were before them. No copy is left behind
    /// them.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        if self.start > 0 {
            let (length, end) = (self.len(), self.buffer.len());
            self.buffer.copy_within(end - length.., 0);
            self.buffer.get_mut(length..).unwrap_or_default().zeroize();
            self.buffer.truncate(length);
        }
        self.buffer
    }

    /// The whole buffer.
    pub const fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

impl From<Vec<u8>> for Data {
    fn from(data: Vec<u8>) -> Self {
        Self::behind(0, data)
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

impl DerefMut for Data {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..).unwrap_or_default()
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_the_data_does_not_count() {
        for (start, buffer) in [(0, &b"data"[..]), (2, b"xxdata"), (5, b"datasdata")] {
            let buffer = buffer.to_vec();
            let place = buffer.as_ptr();
            let data = Data::behind(start, buffer);
            assert_eq!(&*data, b"data");
            assert_eq!(data, Data::from(b"data".to_vec()));
            assert_eq!(format!("{data:?}"), "Data(4 bytes)");
            let vec = data.into_vec();
            assert_eq!(vec, b"data");
            assert_eq!(vec.as_ptr(), place);
        }
        assert_eq!(
            Data::behind(2, b"xxdata".to_vec()).into_buffer(),
            (b"xxdata".to_vec(), 2)
        );
        let mut data = Data::behind(9, b"short".to_vec());
        assert!(data.is_empty() && data.clone().into_vec().is_empty());
        data.buffer_mut().clear();
        assert!(data.is_empty());
    }

    #[test]
    fn room_is_what_the_buffer_has_around_the_data() {
        let mut buffer = Vec::with_capacity(64);
        buffer.extend_from_slice(b"xxxdata");
        let behind = buffer.capacity() - buffer.len();
        let data = Data::behind(3, buffer);
        for (before, more, has_room) in [(0, 0, true), (3, 0, true), (4, 0, false), (3, 1, false)] {
            let room = Room {
                before,
                behind: behind + more,
            };
            assert_eq!(data.has_room(room), has_room, "{room:?}");
        }
        assert!(Data::default().has_room(Room::default()));
    }
}
