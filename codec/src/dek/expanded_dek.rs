//! A data key that is ready to seal and open.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use subtle::ConstantTimeEq as _;

use crate::{
    Dek,
    crypto::{aead, key_schedule::KeySchedule},
};

/// An unwrapped data key, ready to seal and open: the extracted key schedule beside the key.
pub(crate) struct ExpandedDek {
    dek: Dek,
    schedule: KeySchedule,
    proven: AtomicBool,
}

impl ExpandedDek {
    pub(crate) fn new(dek: Dek) -> Self {
        Self {
            schedule: KeySchedule::new(&dek),
            dek,
            proven: AtomicBool::new(false),
        }
    }

    /// Records that this is the right key: it has opened a message, or the KMS gave it twice.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Relaxed);
    }

    /// Whether a message that this key does not open must be at fault, and not the KMS that gave the key.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }

    /// Takes the same time for every answer.
    pub(crate) fn is_same(&self, other: &Dek) -> bool {
        self.dek.expose().ct_eq(other.expose()).into()
    }

    pub(crate) fn schedule(&self) -> &KeySchedule {
        &self.schedule
    }

    /// The data key itself as a cipher: envelope version 1 seals under it directly.
    pub(crate) fn cipher(&self) -> aead::Aes256Gcm {
        aead::Aes256Gcm::new(self.dek.expose())
    }
}

impl fmt::Debug for ExpandedDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandedDek(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        let data_key = ExpandedDek::new(Dek::new([0xAB; 32]));
        assert_eq!(format!("{data_key:?}"), "ExpandedDek(..)");
    }
}
