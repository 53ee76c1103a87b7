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
    /// One byte shorter than the plaintext: what does not fit is not worth it. Its end is not used yet.
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
            compressed: SecretVec::from(vec![0; len.saturating_sub(1)]),
            written: 0,
        })
    }

    /// Compresses some more. Tells whether that was all. `None` where the plaintext does not become shorter.
    pub(crate) fn step(&mut self) -> Option<bool> {
        use zstd::stream::raw::{Operation as _, OutBuffer};

        /// zstd compresses a block when it has the whole block, or when it is told to.
        const BLOCK: usize = 128 << 10;

        let rest = self.plaintext.get(self.read..)?;
        let now = rest.get(..self.step).unwrap_or(rest);
        let room = self.compressed.get_mut(self.written..)?;
        let status = self.encoder.run_on_buffers(now, room).ok()?;
        if status.bytes_read < now.len() {
            return None;
        }
        self.read += status.bytes_read;
        self.written += status.bytes_written;

        let is_last = now.len() == rest.len();
        let mut out = OutBuffer::around(self.compressed.get_mut(self.written..)?);
        let unwritten = if is_last {
            self.encoder.finish(&mut out, true)
        } else if self.step < BLOCK {
            self.encoder.flush(&mut out)
        } else {
            Ok(0)
        };
        if unwritten.ok()? > 0 {
            return None;
        }
        self.written += out.pos();
        Some(is_last)
    }

    /// What was written.
    pub(crate) fn into_compressed(self) -> SecretVec {
        let mut compressed = self.compressed;
        compressed.truncate(self.written);
        compressed
    }
}

/// There is none in this build.
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
    fn what_does_not_become_shorter_is_given_up() {
        for (level, step) in [(1, 1 << 20), (19, 32 << 10)] {
            assert!(compress(&random(300_000), level, step).1.is_none());
        }
        assert!(compress(b"", 19, 32 << 10).1.is_none());
    }
}
