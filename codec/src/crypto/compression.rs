//! Compression before encryption, and decompression that stops at a limit.

use temporal_kms::support::SecretVec;
#[cfg(feature = "zstd")]
use zstd::stream::read::Decoder as FrameDecoder;

#[cfg(feature = "zstd")]
use super::bounded::{SippingReader, Sips, Stream};
use super::{bounded::Decompressing, compressing::Compressing};
use crate::{ConfigurationError, PayloadError};

/// Whether payloads are compressed before they are encrypted.
///
/// Compression makes the length of a ciphertext depend on the content. If an attacker can see lengths and choose a part
/// of a payload, the lengths can reveal the other part. So payloads are not compressed by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// None.
    #[default]
    None,
    /// zstd, where it makes the payload smaller.
    Zstd {
        /// 1 (fast) to 19 (small).
        level: i32,
        /// Payloads shorter than this many bytes are left as they are.
        min_bytes: usize,
    },
}

impl Compression {
    pub(crate) fn check(self) -> Result<(), ConfigurationError> {
        let Self::Zstd { level, .. } = self else {
            return Ok(());
        };
        let invalid = |reason| Err(ConfigurationError::invalid("compression", reason));
        if cfg!(not(feature = "zstd")) {
            return invalid(
                "this build lacks the feature `zstd`; use a build with it, or write `none`",
            );
        }
        if !(1..=19).contains(&level) {
            return invalid("the level of zstd must be between 1 and 19");
        }
        Ok(())
    }

    /// Whether a plaintext of `len` bytes is worth an attempt.
    pub(crate) fn applies_to(self, len: usize) -> bool {
        matches!(self, Self::Zstd { min_bytes, .. } if len >= min_bytes)
    }

    /// How many bytes of a plaintext are compressed at once. A longer one takes several steps.
    pub(crate) const fn step(self) -> usize {
        match self {
            Self::None => usize::MAX,
            Self::Zstd { level, .. } => step(level),
        }
    }

    /// Starts to compress a long plaintext in steps.
    pub(crate) fn start(self, plaintext: SecretVec) -> Option<Compressing> {
        match self {
            Self::None => None,
            Self::Zstd { level, .. } => Compressing::new(plaintext, level, step(level)),
        }
    }

    /// `plaintext` in compressed form, unless that is not wanted or not shorter.
    pub(crate) fn apply(self, plaintext: &[u8]) -> Option<SecretVec> {
        match self {
            Self::Zstd { level, .. } if self.applies_to(plaintext.len()) => {
                compress(plaintext, level).filter(|compressed| compressed.len() < plaintext.len())
            }
            _ => None,
        }
    }
}

/// How many bytes are compressed at once, so that it takes about 20 ms on a slow machine.
const fn step(level: i32) -> usize {
    match level {
        // 60 MB/s and more.
        ..=5 => 1 << 20,
        // 10 MB/s and more.
        6..=12 => 128 << 10,
        // 2 MB/s. These levels search for the best of all ways to write a text.
        _ => 32 << 10,
    }
}

#[cfg(feature = "zstd")]
fn compress(plaintext: &[u8], level: i32) -> Option<SecretVec> {
    zstd::bulk::compress(plaintext, level)
        .ok()
        .map(SecretVec::from)
}

#[cfg(not(feature = "zstd"))]
fn compress(_: &[u8], _: i32) -> Option<SecretVec> {
    None
}

/// The length that a frame claims to become. Frames of this codec tell it.
#[cfg(feature = "zstd")]
pub(crate) fn told_len(frame: &[u8]) -> Option<usize> {
    let told = zstd::zstd_safe::get_frame_content_size(frame).ok()??;
    Some(usize::try_from(told).unwrap_or(usize::MAX))
}

#[cfg(not(feature = "zstd"))]
pub(crate) const fn told_len(_: &[u8]) -> Option<usize> {
    None
}

/// Starts to decompress one frame, at most to `limit` bytes.
///
/// The frame must fill `compressed`. The writer makes frames without a dictionary and without skippable frames around
/// them; anything else is refused.
#[cfg(feature = "zstd")]
pub(crate) fn decompressing(
    compressed: &[u8],
    limit: usize,
) -> Result<Decompressing<'_>, PayloadError> {
    /// 8 MiB, the window that RFC 8878 recommends every decoder to support. A frame cannot make this one reserve more.
    const MAX_WINDOW_LOG: u32 = 23;
    let malformed = |_| MALFORMED;

    if !compressed.starts_with(&zstd::zstd_safe::MAGICNUMBER.to_le_bytes()) {
        return Err(MALFORMED);
    }
    let mut decoder = FrameDecoder::with_buffer(Sips::new(compressed))
        .map_err(malformed)?
        .single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(malformed)?;
    let stream = Stream::new(decoder, MALFORMED);
    Ok(Decompressing::new(stream, compressed.len(), limit))
}

#[cfg(feature = "zstd")]
impl SippingReader for FrameDecoder<'_, Sips<'_>> {
    fn source(&self) -> &Sips<'_> {
        self.get_ref()
    }

    fn refill(&mut self) {
        self.get_mut().refill();
    }
}

#[cfg(feature = "zstd")]
const MALFORMED: PayloadError = PayloadError::Malformed("its content is not one zstd frame");

#[cfg(not(feature = "zstd"))]
pub(crate) fn decompressing(_: &[u8], _: usize) -> Result<Decompressing<'_>, PayloadError> {
    Err(PayloadError::Unsupported(
        "it is compressed, and the feature `zstd` is missing",
    ))
}

#[cfg(all(test, feature = "zstd"))]
#[allow(
    clippy::unwrap_used,
    reason = "clippy does not see that these are tests"
)]
mod tests {
    use super::*;
    use crate::crypto::bounded::to_end;

    fn decompress(compressed: &[u8], limit: usize) -> Result<SecretVec, PayloadError> {
        to_end(decompressing(compressed, limit)?)
    }

    const ZSTD: Compression = Compression::Zstd {
        level: 3,
        min_bytes: 64,
    };

    #[test]
    fn round_trips_and_leaves_alone_what_would_grow() {
        let text = b"the same words again and again, ".repeat(20);
        let compressed = ZSTD.apply(&text).unwrap();
        assert!(compressed.len() < text.len());
        assert_eq!(*decompress(&compressed, text.len()).unwrap(), text);

        let random: Vec<u8> = (0..200_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        assert!(ZSTD.apply(&random).is_none(), "grows");
        assert!(ZSTD.apply(b"short").is_none(), "short");
        assert!(Compression::None.apply(&text).is_none());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 10_000);
        let limit = 1 << 20;
        assert_eq!(
            decompress(&bomb, limit).unwrap_err(),
            PayloadError::TooLarge {
                what: "the decompressed payload",
                limit
            }
        );
    }

    fn frame(plaintext: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plaintext, 3).unwrap()
    }

    #[track_caller]
    fn is_malformed(compressed: &[u8]) {
        assert_eq!(decompress(compressed, 1 << 20).unwrap_err(), MALFORMED);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        for len in [0, 1, 4095, 4096, 4097, 100_000] {
            let text = vec![b'a'; len];
            assert_eq!(*decompress(&frame(&text), len).unwrap(), text);
            if let Some(less) = len.checked_sub(1) {
                assert!(decompress(&frame(&text), less).is_err(), "{len}");
            }
        }
    }

    #[test]
    fn a_frame_tells_its_length() {
        let text = b"the same words again and again, ".repeat(20);
        assert_eq!(told_len(&frame(&text)), Some(text.len()));
        assert_eq!(told_len(&frame(b"")), Some(0));
        // A raw block without a content size before it, and no frame.
        let untold = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0, 9, 0, 0, b'x'];
        for compressed in [&untold[..], b"no frame", b""] {
            assert_eq!(told_len(compressed), None);
        }
    }

    #[test]
    fn a_window_above_8_mib_is_refused_before_it_is_reserved() {
        // A frame header without a content size: window descriptor 2^31, then one raw block that is the last one.
        let [magic @ .., window] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
        let small = [&magic[..], &[0], &[9, 0, 0, b'x']].concat();
        assert_eq!(*decompress(&small, 10).unwrap(), b"x");
        is_malformed(&[&magic[..], &[window], &[9, 0, 0, b'x']].concat());
    }

    #[test]
    fn a_frame_with_a_dictionary_is_refused() {
        // One raw block, and the dictionary 7 in a field of one byte.
        let frame = |flags: u8, dictionary: &[u8]| {
            [
                &[0x28, 0xb5, 0x2f, 0xfd, flags, 0][..],
                dictionary,
                &[9, 0, 0, b'x'],
            ]
            .concat()
        };
        assert_eq!(*decompress(&frame(0, &[]), 10).unwrap(), b"x");
        is_malformed(&frame(1, &[7]));
    }

    #[test]
    fn skippable_frames_further_frames_and_garbage_are_refused() {
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let text = frame(b"the text");
        is_malformed(&skippable);
        is_malformed(&[&skippable[..], &text].concat());
        is_malformed(&[&text[..], &skippable].concat());
        is_malformed(&[&text[..], &text].concat());
        is_malformed(&[&text[..], b"\0"].concat());
        is_malformed(&[&text[..], b"garbage"].concat());
    }

    #[test]
    fn an_incomplete_frame_is_refused() {
        let whole = frame(&b"the same words again and again, ".repeat(20));
        for len in 0..whole.len() {
            is_malformed(&whole[..len]);
        }
    }

    #[test]
    fn refuses_garbage_and_levels_out_of_range() {
        assert!(matches!(
            decompress(b"no frame", 100),
            Err(PayloadError::Malformed(_))
        ));
        assert!(
            Compression::Zstd {
                level: 20,
                min_bytes: 0
            }
            .check()
            .is_err()
        );
        assert!(ZSTD.check().is_ok());
    }
}
