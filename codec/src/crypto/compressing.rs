//! Compression in steps: a large plaintext at a high level takes seconds.

use temporal_kms::support::SecretVec;

/// A plaintext that is being compressed to one zstd frame, which holds the plaintext's length.
#[cfg(feature = "zstd")]
pub(crate) struct Compressing {
    encoder: zstd::stream::raw::Encoder<'static>,
    plaintext: SecretVec,
    /// How much of the plaintext is compressed.
    read: usize,
    /// How many bytes are compressed at once.
    step: usize,
    /// It grows until it is one byte shorter than the plaintext: what does not fit is not worth it. Its end is not used yet.
    compressed: SecretVec,
    written: usize,
}

#[cfg(feature = "zstd")]
impl Compressing {
    /// `None` where zstd gets no memory.
    pub(super) fn new(plaintext: SecretVec, level: i32, step: usize) -> Option<Self> {
        use zstd::stream::raw::{CParameter, Encoder};

        /// 1 MiB. The tables of a level grow with its window: at level 19 they would take 80 MiB, which are cleared first.
        const WINDOW_LOG: u32 = 20;
        /// A larger buffer is erased to its end, also where nothing was written.
        const FIRST: usize = 1 << 20;

        let len = plaintext.len();
        let mut encoder = Encoder::new(level).ok()?;
        encoder
            .set_parameter(CParameter::WindowLog(WINDOW_LOG))
            .ok()?;
        encoder.set_pledged_src_size(u64::try_from(len).ok()).ok()?;
        Some(Self {
            encoder,
            plaintext,
            read: 0,
            step,
            compressed: SecretVec::from(vec![0; len.saturating_sub(1).min(FIRST)]),
            written: 0,
        })
    }

    /// Compresses some more. Tells whether that was all. `None` where the plaintext does not become shorter.
    pub(crate) fn step(&mut self) -> Option<bool> {
        use zstd::stream::raw::{Operation as _, OutBuffer};

        /// zstd compresses a block when it has the whole block, or when it is told to.
        const BLOCK: usize = 128 << 10;

        let len = self.plaintext.len();
        let end = self.read.saturating_add(self.step).min(len);
        while self.read < end {
            let rest = self.plaintext.get(self.read..end)?;
            let room = self.compressed.get_mut(self.written..)?;
            let status = self.encoder.run_on_buffers(rest, room).ok()?;
            self.read += status.bytes_read;
            self.written += status.bytes_written;
            // zstd reads everything, unless the room is full.
            if self.read < end {
                self.grow()?;
            }
        }
        let is_last = end == len;
        if !is_last && self.step >= BLOCK {
            return Some(false);
        }
        loop {
            let mut out = OutBuffer::around(self.compressed.get_mut(self.written..)?);
            let unwritten = if is_last {
                self.encoder.finish(&mut out, true)
            } else {
                self.encoder.flush(&mut out)
            };
            let unwritten = unwritten.ok()?;
            self.written += out.pos();
            if unwritten == 0 {
                return Some(is_last);
            }
            self.grow()?;
        }
    }

    /// Makes more room. `None` where the compressed form would not be shorter than the plaintext.
    fn grow(&mut self) -> Option<()> {
        let most = self.plaintext.len().saturating_sub(1);
        let len = self.compressed.len();
        if len >= most {
            return None;
        }
        // The smaller buffer is erased.
        let mut larger = SecretVec::from(vec![0; len.saturating_mul(2).min(most)]);
        let written = self.compressed.get(..self.written)?;
        larger.get_mut(..self.written)?.copy_from_slice(written);
        self.compressed = larger;
        Some(())
    }

    /// What was written.
    pub(crate) fn into_compressed(self) -> SecretVec {
        let mut compressed = self.compressed;
        compressed.truncate(self.written);
        compressed
    }
}

/// This build compresses nothing.
#[cfg(not(feature = "zstd"))]
pub(crate) enum Compressing {}

#[cfg(not(feature = "zstd"))]
impl Compressing {
    pub(super) fn new(_: SecretVec, _: i32, _: usize) -> Option<Self> {
        None
    }

    pub(crate) fn step(&mut self) -> Option<bool> {
        match *self {}
    }

    pub(crate) fn into_compressed(self) -> SecretVec {
        match self {}
    }
}

#[cfg(test)]
#[cfg(feature = "zstd")]
mod tests {
    use super::*;
    use crate::crypto::{bounded::to_end, compression::decompressing};

    /// Makes all steps, and returns their number.
    fn compress(plaintext: &[u8], level: i32, step: usize) -> (usize, Option<SecretVec>) {
        let mut compressing = Compressing::new(plaintext.to_vec().into(), level, step).unwrap();
        let mut steps = 0;
        loop {
            steps += 1;
            match compressing.step() {
                Some(true) => return (steps, Some(compressing.into_compressed())),
                Some(false) => {}
                None => return (steps, None),
            }
        }
    }

    /// Bytes that zstd cannot make shorter.
    fn random(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    /// A text that repeats itself after 100,000 bytes.
    fn text(len: usize) -> Vec<u8> {
        random(100_000).into_iter().cycle().take(len).collect()
    }

    #[test]
    fn each_step_takes_a_part_and_all_of_them_make_one_frame() {
        for (level, step, len) in [
            (1, 1 << 20, (2 << 20) + 1),
            (9, 128 << 10, 300_000),
            (19, 32 << 10, 250_000),
            (19, 32 << 10, 256 << 10),
        ] {
            let plaintext = text(len);
            let (steps, compressed) = compress(&plaintext, level, step);
            assert_eq!(steps, len.div_ceil(step));
            let compressed = compressed.unwrap();
            assert!(compressed.len() < len / 4 * 3, "{} bytes", compressed.len());
            let told = zstd::zstd_safe::get_frame_content_size(&compressed);
            assert_eq!(told.unwrap(), u64::try_from(len).ok());
            let opened = to_end(decompressing(&compressed, len).unwrap());
            assert_eq!(*opened.unwrap(), plaintext);
        }
    }

    #[test]
    fn the_buffer_grows_with_what_is_written() {
        // Bytes that zstd makes shorter by an eighth, and no more.
        let plaintext: Vec<u8> = random(5 << 20).iter().map(|byte| byte & 0x7f).collect();
        for (level, step) in [(1, 1 << 20), (9, 128 << 10), (9, 32 << 10)] {
            let (steps, compressed) = compress(&plaintext, level, step);
            assert_eq!(steps, plaintext.len().div_ceil(step));
            let compressed = compressed.unwrap();
            assert!(compressed.len() > 4 << 20, "{} bytes", compressed.len());
            let opened = to_end(decompressing(&compressed, plaintext.len()).unwrap());
            assert_eq!(*opened.unwrap(), plaintext);
        }
        let shorter = compress(&text(5 << 20), 1, 1 << 20).1.unwrap();
        assert!(shorter.capacity() <= 1 << 20);
    }

    #[test]
    fn what_does_not_become_shorter_is_given_up() {
        for (level, step) in [(1, 1 << 20), (19, 32 << 10)] {
            assert!(compress(&random(300_000), level, step).1.is_none());
        }
        assert!(compress(b"", 19, 32 << 10).1.is_none());
    }
}
