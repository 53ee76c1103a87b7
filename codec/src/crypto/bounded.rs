//! Reads what a decompressor gives, up to a limit.

use std::io::Read;

use temporal_kms::support::SecretVec;

use crate::PayloadError;

/// Reads everything. A buffer that is outgrown is erased; `Vec` alone would leave its bytes in freed memory.
pub(super) fn read_to_end(
    input: &mut impl Read,
    guess: usize,
    limit: usize,
    malformed: PayloadError,
) -> Result<SecretVec, PayloadError> {
    const LEAST: usize = 4096;
    // One byte more than the limit tells that it is exceeded.
    let most = limit.saturating_add(1);
    let mut buffer = SecretVec::from(vec![0; guess.max(LEAST).min(most)]);
    let mut len = 0;
    loop {
        if len == buffer.len() {
            let mut larger = SecretVec::from(vec![0; len.saturating_mul(2).min(most)]);
            if let Some(start) = larger.get_mut(..len) {
                start.copy_from_slice(&buffer);
            }
            buffer = larger;
        }
        match input.read(buffer.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(_) => return Err(malformed),
        }
        if len > limit {
            return Err(PayloadError::TooLarge {
                what: "the decompressed payload",
                limit,
            });
        }
    }
    buffer.truncate(len);
    Ok(buffer)
}
