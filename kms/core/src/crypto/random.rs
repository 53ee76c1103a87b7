//! Randomness for message ids, nonces and keys.
//!
//! Ids and nonces come from the cryptographic library's own generator. AWS-LC reseeds it after `fork`, and after a
//! snapshot of the virtual machine where the kernel reports one, so two copies of a process never repeat an id. With
//! the feature `aes-gcm` alone, every call asks the operating system, because a generator in this process's memory
//! would be copied.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "shared by this project's own crates only"
)]

/// The operating system gave no randomness, so nothing may be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness; check that the process may call `getrandom`")]
pub struct NoRandomness;

/// Fills `bytes` from the operating system: for keys, which are rare. The kernel has one generator for all copies of a
/// process.
pub fn fill_from_system(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}

/// Fills `bytes` for message ids and nonces, which every message needs.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    #[cfg(feature = "aws-lc-rs")]
    let filled = aws_lc_rs::rand::fill(bytes).map_err(|_| NoRandomness);
    #[cfg(not(feature = "aws-lc-rs"))]
    let filled = getrandom::fill(bytes).map_err(|_| NoRandomness);
    filled
}

/// A number from 0 up to but not including 1, for waits and renewals that must not coincide. Without randomness it is
/// one half, because a wait need not be secret.
#[must_use]
pub fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(NoRandomness) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_within_one_and_differ() {
        let fractions: Vec<f64> = (0..100).map(|_| fraction()).collect();
        assert!(
            fractions
                .iter()
                .all(|fraction| (0.0..1.0).contains(fraction))
        );
        assert!(fractions.iter().any(|fraction| *fraction < 0.5));
        assert!(fractions.iter().any(|fraction| *fraction >= 0.5));
    }

    #[test]
    fn every_draw_differs() {
        let draws: std::collections::HashSet<[u8; 32]> = (0..1000)
            .map(|_| {
                let mut bytes = [0; 32];
                fill(&mut bytes).unwrap();
                bytes
            })
            .collect();
        assert_eq!(draws.len(), 1000);
    }
}
