//! Decompression in small steps, up to a limit.
//!
//! What compressed data cost is not seen from outside: a few bytes may become megabytes, and megabytes may become nothing. So a
//! step ends after some bytes of either, and the caller decides between the steps who goes on.
#![cfg_attr(
    not(any(feature = "zstd", feature = "decompression")),
    allow(dead_code, reason = "this build decompresses nothing")
)]

use std::io::{self, BufRead, ErrorKind, Read};

use temporal_kms::support::SecretVec;

use crate::PayloadError;

/// The most compressed bytes that a step reads. A stream of deflate can have a table of codes in every 12 bytes, and making the
/// tables of so many bytes takes some milliseconds.
const STEP_INPUT: usize = 16 << 10;
/// The most bytes that a step makes. A snappy block of any length is one step.
const STEP_OUTPUT: usize = 64 << 10;

/// Data that are being decompressed.
pub(crate) struct Decompressing<'c> {
    steps: Box<dyn Steps + 'c>,
    plain: Bounded,
}

/// What one step did.
pub(crate) struct StepReport {
    /// Compressed bytes that were read.
    pub(crate) read: usize,
    /// Bytes that were made of them.
    pub(crate) made: usize,
    /// Whether that was all.
    pub(crate) is_last: Result<bool, PayloadError>,
}

impl<'c> Decompressing<'c> {
    /// Decompresses `compressed` bytes to at most `limit`.
    pub(super) fn new(steps: impl Steps + 'c, compressed: usize, limit: usize) -> Self {
        Self {
            steps: Box::new(steps),
            plain: Bounded::new(compressed.saturating_mul(4), limit),
        }
    }

    /// Decompresses some more.
    pub(crate) fn step(&mut self) -> StepReport {
        let (left, len) = (self.steps.left(), self.plain.len);
        let is_last = self.steps.step(&mut self.plain);
        StepReport {
            read: left.saturating_sub(self.steps.left()),
            made: self.plain.len.saturating_sub(len),
            is_last,
        }
    }

    /// The bytes that were made so far.
    pub(crate) const fn made(&self) -> usize {
        self.plain.len
    }

    /// What was made.
    pub(crate) fn into_plain(self) -> SecretVec {
        let Bounded {
            mut buffer, len, ..
        } = self.plain;
        buffer.truncate(len);
        buffer
    }
}

/// Decompresses in steps.
pub(super) trait Steps: Send {
    /// Decompresses some more. Tells whether that was all.
    fn step(&mut self, plain: &mut Bounded) -> Result<bool, PayloadError>;

    /// The compressed bytes that are not read yet.
    fn left(&self) -> usize;
}

/// What is made of compressed data.
pub(super) struct Bounded {
    /// Its end is not used yet. A buffer that is outgrown is erased; `Vec` alone would leave its bytes in freed memory.
    buffer: SecretVec,
    len: usize,
    limit: usize,
}

impl Bounded {
    fn new(guess: usize, limit: usize) -> Self {
        const LEAST: usize = 4096;
        /// A larger buffer is erased to its end, also where nothing was written.
        const MOST: usize = 1 << 20;
        // One byte more than the limit tells that it is exceeded.
        let most = limit.saturating_add(1);
        Self {
            buffer: SecretVec::from(vec![0; guess.clamp(LEAST, MOST).min(most)]),
            len: 0,
            limit,
        }
    }

    /// Room for the next bytes of a step. It is not empty.
    fn room(&mut self) -> &mut [u8] {
        if self.len == self.buffer.len() {
            let most = self.limit.saturating_add(1);
            let mut larger = SecretVec::from(vec![0; self.len.saturating_mul(2).min(most)]);
            if let Some(start) = larger.get_mut(..self.len) {
                start.copy_from_slice(&self.buffer);
            }
            self.buffer = larger;
        }
        let end = self.len.saturating_add(STEP_OUTPUT).min(self.buffer.len());
        self.buffer.get_mut(self.len..end).unwrap_or_default()
    }

    /// So many bytes are in the room.
    fn add(&mut self, count: usize) -> Result<(), PayloadError> {
        self.len = self.len.saturating_add(count);
        if self.len > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(())
    }

    /// Room for all bytes together, which count at once.
    #[cfg(feature = "decompression")]
    pub(super) fn whole(&mut self, len: usize) -> Result<&mut [u8], PayloadError> {
        if len > self.limit {
            return Err(too_large(self.limit));
        }
        self.buffer = SecretVec::from(vec![0; len]);
        self.len = len;
        Ok(self.buffer.as_mut_slice())
    }
}

/// The error of data that become more than `limit` bytes.
pub(crate) const fn too_large(limit: usize) -> PayloadError {
    PayloadError::TooLarge {
        what: "the decompressed payload",
        limit,
    }
}

/// A decompressor that reads its data in sips.
pub(super) trait SippingReader: Read + Send {
    /// The source of the compressed data.
    fn source(&self) -> &Sips<'_>;

    /// Lets it read as much as a step may.
    fn refill(&mut self);
}

/// The steps of a decoder.
pub(super) struct Stream<D> {
    decoder: D,
    malformed: PayloadError,
}

impl<D: SippingReader> Stream<D> {
    /// `malformed` is the error of data that the decoder cannot read, or that something follows.
    pub(super) const fn new(decoder: D, malformed: PayloadError) -> Self {
        Self { decoder, malformed }
    }
}

impl<D: SippingReader> Steps for Stream<D> {
    fn step(&mut self, plain: &mut Bounded) -> Result<bool, PayloadError> {
        self.decoder.refill();
        match self.decoder.read(plain.room()) {
            Ok(0) if self.left() == 0 => Ok(true),
            Ok(0) => Err(self.malformed.clone()),
            Ok(count) => plain.add(count).map(|()| false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(self.malformed.clone()),
        }
    }

    fn left(&self) -> usize {
        self.decoder.source().rest.len()
    }
}

/// Compressed data, of which a decoder gets a little in each step. Then it is told to come back later, as a socket without data
/// would tell it.
pub(super) struct Sips<'c> {
    rest: &'c [u8],
    /// What may be read in this step.
    sip: usize,
}

impl<'c> Sips<'c> {
    pub(super) const fn new(compressed: &'c [u8]) -> Self {
        Self {
            rest: compressed,
            sip: STEP_INPUT,
        }
    }

    pub(super) const fn refill(&mut self) {
        self.sip = STEP_INPUT;
    }
}

impl BufRead for Sips<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.sip == 0 && !self.rest.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(self.rest.get(..self.sip).unwrap_or(self.rest))
    }

    fn consume(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.sip = self.sip.saturating_sub(count);
    }
}

impl Read for Sips<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut sip = self.fill_buf()?;
        let count = sip.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// Makes all steps.
#[cfg(test)]
pub(crate) fn to_end(mut decompressing: Decompressing<'_>) -> Result<SecretVec, PayloadError> {
    while !decompressing.step().is_last? {}
    Ok(decompressing.into_plain())
}

#[cfg(all(test, feature = "decompression"))]
#[allow(
    clippy::unwrap_used,
    reason = "clippy does not see that these are tests"
)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};

    use super::*;

    const MALFORMED: PayloadError = PayloadError::Malformed("x");

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressing(compressed: &[u8], limit: usize) -> Decompressing<'_> {
        let decoder = ZlibDecoder::new(Sips::new(compressed));
        Decompressing::new(Stream::new(decoder, MALFORMED), compressed.len(), limit)
    }

    /// Makes all steps, each within its bounds, and returns their number.
    fn steps(mut decompressing: Decompressing<'_>) -> (usize, Result<SecretVec, PayloadError>) {
        let mut steps = 0;
        loop {
            steps += 1;
            let step = decompressing.step();
            assert!(step.read <= STEP_INPUT && step.made <= STEP_OUTPUT);
            match step.is_last {
                Ok(true) => return (steps, Ok(decompressing.into_plain())),
                Ok(false) => {}
                Err(error) => return (steps, Err(error)),
            }
        }
    }

    #[test]
    fn much_that_becomes_of_little_takes_many_steps() {
        let plain = vec![0; 4 << 20];
        let compressed = zlib(&plain);
        assert!(compressed.len() < STEP_INPUT);
        let (steps, made) = steps(decompressing(&compressed, plain.len()));
        assert_eq!(*made.unwrap(), plain);
        assert!(steps >= plain.len() / STEP_OUTPUT, "{steps}");
    }

    #[test]
    fn little_that_becomes_of_much_takes_many_steps() {
        // The header, stored blocks without content, a last block, and the checksum of nothing.
        let empty = [0, 0, 0, 0xff, 0xff].repeat(200_000);
        let whole = [&[0x78, 0x9c][..], &empty, &[3, 0, 0, 0, 0, 1]].concat();
        let (count, made) = steps(decompressing(&whole, 100));
        assert!(made.unwrap().is_empty());
        assert!(count >= whole.len() / STEP_INPUT, "{count}");
        let cut_off = decompressing(&whole[..whole.len() - 9], 100);
        assert_eq!(steps(cut_off).1.unwrap_err(), MALFORMED);
    }
}
