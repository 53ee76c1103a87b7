//! Randomness: the operating system's for keys, a userspace generator for what every message needs.

use rand::Rng as _;

/// Fills `bytes` from a `ChaCha` generator of this thread that the operating system seeded and reseeds. A system call
/// for every message would cost more than sealing it.
pub(crate) fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

/// Fills `bytes` from the operating system: for keys.
pub(crate) fn fill_from_system(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}
