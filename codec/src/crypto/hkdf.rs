//! HKDF-Expand with SHA-256 (RFC 5869) to two blocks of output, for short information.
//!
//! Every message needs it once, so it is made of SHA-256's own blocks: both states of HMAC are computed once for each key, and
//! five blocks are left for each message.

use sha2::block_api::compress256;
use temporal_kms::support::erase;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

const BLOCK_LEN: usize = 64;
const HASH_LEN: usize = 32;

type State = [u32; 8];
/// Two blocks of HKDF's output.
pub(super) type Output = [[u8; HASH_LEN]; 2];

/// FIPS 180-4, section 5.3.3.
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A pseudorandom key: the states of HMAC's inner and outer hash after the key's block.
pub(super) struct Prk {
    inner: State,
    outer: State,
}

impl Prk {
    pub(super) fn new(key: &[u8; HASH_LEN]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK_LEN];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            erase(&mut block);
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// Fills `output` with `HKDF-Expand(PRK, info, 64)`. All parts of `info` together have at most 64 bytes.
    pub(super) fn expand(&self, info: &[&[u8]], output: &mut Output) {
        let mut work = Work::new();
        let [first, second] = output;
        self.hmac(&mut work, &[], info, 1, first);
        self.hmac(&mut work, first, info, 2, second);
    }

    /// HMAC-SHA256 of `before`, `info` and a counter.
    fn hmac(&self, work: &mut Work, before: &[u8], info: &[&[u8]], counter: u8, output: &mut [u8]) {
        work.begin(&self.inner);
        work.write(before);
        for part in info {
            work.write(part);
        }
        work.write(&[counter]);
        work.finish(output);
        work.begin(&self.outer);
        work.write(output);
        work.finish(output);
    }
}

impl Drop for Prk {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl ZeroizeOnDrop for Prk {}

/// The hash of what follows one block, in memory that is erased once at the end.
struct Work {
    state: State,
    blocks: [[u8; BLOCK_LEN]; 2],
    len: usize,
}

impl Work {
    fn new() -> Self {
        Self {
            state: INITIAL,
            blocks: [[0; BLOCK_LEN]; 2],
            len: 0,
        }
    }

    /// Begins after the block that made `state`.
    fn begin(&mut self, state: &State) {
        self.state = *state;
        self.blocks = [[0; BLOCK_LEN]; 2];
        self.len = 0;
    }

    fn write(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        let room = self.blocks.as_flattened_mut().get_mut(self.len..end);
        debug_assert!(
            room.is_some(),
            "two blocks have room for all that is written"
        );
        if let Some(room) = room {
            room.copy_from_slice(part);
            self.len = end;
        }
    }

    /// Pads (FIPS 180-4, section 5.1.1), and writes the hash.
    fn finish(&mut self, output: &mut [u8]) {
        const LENGTH_LEN: usize = size_of::<u64>();
        let bits = 8 * (BLOCK_LEN + self.len) as u64;
        self.write(&[0x80]);
        let count = (self.len + LENGTH_LEN).div_ceil(BLOCK_LEN);
        let end = count * BLOCK_LEN;
        let length = self
            .blocks
            .as_flattened_mut()
            .get_mut(end - LENGTH_LEN..end);
        if let Some(length) = length {
            length.copy_from_slice(&bits.to_be_bytes());
        }
        compress256(
            &mut self.state,
            self.blocks.get(..count).unwrap_or_default(),
        );
        for (bytes, word) in output.chunks_exact_mut(size_of::<u32>()).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        erase(self.blocks.as_flattened_mut());
        self.state.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use hkdf::Hkdf;
    use proptest::{collection, prelude::*};
    use sha2::Sha256;

    use super::*;

    proptest! {
        #[test]
        fn gives_what_the_library_gives(
            key in any::<[u8; HASH_LEN]>(),
            label in collection::vec(any::<u8>(), 0..=32),
            id in collection::vec(any::<u8>(), 0..=32),
        ) {
            let mut output = Output::default();
            Prk::new(&key).expand(&[&label, &id], &mut output);
            let mut expected = Output::default();
            let library = Hkdf::<Sha256>::from_prk(&key).unwrap();
            library.expand_multi_info(&[&label, &id], expected.as_flattened_mut()).unwrap();
            prop_assert_eq!(output, expected);
        }
    }
}
