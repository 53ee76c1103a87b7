//! Erases bytes by filling them.
//!
//! `Zeroizing` writes one byte after the other, which takes 150 µs for each MiB. Filling takes a tenth of that. The barrier
//! makes the compiler believe that somebody reads the bytes afterwards, so it does not leave the filling out.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "shared by this project's own crates only"
)]

use std::{
    fmt, mem,
    ops::{Deref, DerefMut},
};

use zeroize::{ZeroizeOnDrop, optimization_barrier};

/// Erases bytes.
pub fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

/// Empties a vector, and erases what it held with its spare capacity.
pub fn erase_vec(bytes: &mut Vec<u8>) {
    erase_from(bytes, 0);
}

/// Shortens a vector to `len` bytes, and erases everything behind them.
pub fn erase_from(bytes: &mut Vec<u8>, len: usize) {
    if let Some(behind) = bytes.get_mut(len..) {
        behind.fill(0);
    }
    // The capacity is there already, so nothing is moved.
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
    bytes.truncate(len);
}

/// Bytes that are erased when they are dropped. They have no `Clone`, and their `Debug` shows the length only.
///
/// A vector that grows leaves its former bytes behind: reserve the room first.
#[derive(Default, PartialEq, Eq)]
pub struct SecretVec(Vec<u8>);

impl SecretVec {
    /// The bytes, which nobody erases any more.
    #[must_use]
    pub fn into_inner(mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }
}

impl From<Vec<u8>> for SecretVec {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for SecretVec {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for SecretVec {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for SecretVec {
    fn drop(&mut self) {
        erase_vec(&mut self.0);
    }
}

impl ZeroizeOnDrop for SecretVec {}

impl fmt::Debug for SecretVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretVec({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a vector holds in its whole capacity.
    fn whole(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.capacity(), 0xEE);
        bytes
    }

    #[test]
    fn what_is_behind_is_erased_in_place() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[7; 50]);
        let place = bytes.as_ptr();
        erase_from(&mut bytes, 10);
        assert_eq!(bytes, [7; 10]);
        assert_eq!((bytes.as_ptr(), bytes.capacity()), (place, 64));
        erase_vec(&mut bytes);
        assert!(bytes.is_empty());
        // Only the filling of this test is left.
        assert_eq!(whole(bytes), [0xEE; 64]);

        let mut fixed = [1; 8];
        erase(&mut fixed);
        assert_eq!(fixed, [0; 8]);
        let mut short = vec![1, 2];
        erase_from(&mut short, 5);
        assert!(short.starts_with(&[1, 2]));
    }

    #[test]
    fn shows_nothing_of_itself() {
        let secret = SecretVec::from(vec![0xAB; 5]);
        assert_eq!(format!("{secret:?}"), "SecretVec(5 bytes)");
        assert_eq!(secret.into_inner(), [0xAB; 5]);
    }
}
