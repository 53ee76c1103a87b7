//! Decompression of what other codecs compressed, which stops at a limit.

#[cfg(feature = "decompression")]
use std::mem;

#[cfg(feature = "decompression")]
use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::bounded::Decompressing;
#[cfg(feature = "decompression")]
use super::bounded::{Bounded, SippingReader, Sips, Steps, Stream};
use crate::PayloadError;

/// How another codec compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RFC 1950.
    Zlib,
    /// A snappy block without framing.
    Snappy,
    /// One member (RFC 1952).
    Gzip,
}

/// Starts to decompress `compressed`, at most to `limit` bytes. Nothing may follow the compressed data.
#[cfg(feature = "decompression")]
pub(crate) fn decompressing(
    algorithm: Algorithm,
    compressed: &[u8],
    limit: usize,
) -> Result<Decompressing<'_>, PayloadError> {
    let (source, len) = (Sips::new(compressed), compressed.len());
    Ok(match algorithm {
        Algorithm::Zlib => {
            let decoder = ZlibDecoder::new(source);
            Decompressing::new(Stream::new(decoder, MALFORMED_ZLIB), len, limit)
        }
        Algorithm::Gzip => {
            let decoder = GzDecoder::new(source);
            Decompressing::new(Stream::new(decoder, MALFORMED_GZIP), len, limit)
        }
        // It makes room for its length itself.
        Algorithm::Snappy => Decompressing::new(Snappy::read(compressed)?, 0, limit),
    })
}

#[cfg(not(feature = "decompression"))]
pub(crate) fn decompressing(
    _: Algorithm,
    _: &[u8],
    _: usize,
) -> Result<Decompressing<'_>, PayloadError> {
    Err(PayloadError::Unsupported(
        "another codec compressed it, and the feature `decompression` is missing",
    ))
}

/// The length that `compressed` claims to become. The formats of deflate tell none before their end.
#[cfg(feature = "decompression")]
pub(crate) fn told_len(algorithm: Algorithm, compressed: &[u8]) -> Option<usize> {
    match algorithm {
        Algorithm::Snappy => Snappy::read(compressed).ok().map(|block| block.len),
        Algorithm::Zlib | Algorithm::Gzip => None,
    }
}

#[cfg(not(feature = "decompression"))]
pub(crate) const fn told_len(_: Algorithm, _: &[u8]) -> Option<usize> {
    None
}

#[cfg(feature = "decompression")]
const MALFORMED_ZLIB: PayloadError =
    PayloadError::Malformed("its content is not one stream of zlib");
#[cfg(feature = "decompression")]
const MALFORMED_GZIP: PayloadError =
    PayloadError::Malformed("its content is not one member of gzip");
#[cfg(feature = "decompression")]
const MALFORMED_SNAPPY: PayloadError =
    PayloadError::Malformed("its content is not one block of snappy");

#[cfg(feature = "decompression")]
impl SippingReader for ZlibDecoder<Sips<'_>> {
    fn source(&self) -> &Sips<'_> {
        self.get_ref()
    }

    fn refill(&mut self) {
        self.get_mut().refill();
    }
}

#[cfg(feature = "decompression")]
impl SippingReader for GzDecoder<Sips<'_>> {
    fn source(&self) -> &Sips<'_> {
        self.get_ref()
    }

    fn refill(&mut self) {
        self.get_mut().refill();
    }
}

/// A block, which is decompressed at once.
#[cfg(feature = "decompression")]
struct Snappy<'c> {
    block: &'c [u8],
    /// The length that the block claims to become.
    len: usize,
}

#[cfg(feature = "decompression")]
impl<'c> Snappy<'c> {
    fn read(block: &'c [u8]) -> Result<Self, PayloadError> {
        /// Three bytes of a block become at most 64. A block that claims more is not a block, and gets no memory.
        const MOST_PER_BYTE: usize = 32;

        match snap::raw::decompress_len(block) {
            Ok(len) if len <= block.len().saturating_mul(MOST_PER_BYTE) => Ok(Self { block, len }),
            _ => Err(MALFORMED_SNAPPY),
        }
    }
}

#[cfg(feature = "decompression")]
impl Steps for Snappy<'_> {
    fn step(&mut self, plain: &mut Bounded) -> Result<bool, PayloadError> {
        let block = mem::take(&mut self.block);
        let room = plain.whole(self.len)?;
        match snap::raw::Decoder::new().decompress(block, room) {
            Ok(written) if written == self.len => Ok(true),
            _ => Err(MALFORMED_SNAPPY),
        }
    }

    fn left(&self) -> usize {
        self.block.len()
    }
}

#[cfg(all(test, feature = "decompression"))]
#[allow(
    clippy::unwrap_used,
    reason = "clippy does not see that these are tests"
)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use temporal_kms::support::SecretVec;

    use super::*;
    use crate::crypto::bounded::to_end;

    const ALL: [Algorithm; 3] = [Algorithm::Zlib, Algorithm::Snappy, Algorithm::Gzip];

    fn compress(algorithm: Algorithm, plain: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Zlib => {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Algorithm::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Algorithm::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        }
    }

    fn decompress(
        algorithm: Algorithm,
        compressed: &[u8],
        limit: usize,
    ) -> Result<SecretVec, PayloadError> {
        to_end(decompressing(algorithm, compressed, limit)?)
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        for algorithm in ALL {
            for len in [0, 1, 4096, 100_000] {
                let plain = vec![b'a'; len];
                let compressed = compress(algorithm, &plain);
                assert_eq!(*decompress(algorithm, &compressed, len).unwrap(), plain);
                if let Some(less) = len.checked_sub(1) {
                    let refused = decompress(algorithm, &compressed, less).unwrap_err();
                    assert!(
                        matches!(refused, PayloadError::TooLarge { .. }),
                        "{refused}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for algorithm in ALL {
            let bomb = compress(algorithm, &vec![0; 8 << 20]);
            assert!(bomb.len() < 1 << 20);
            let limit = 1 << 20;
            assert_eq!(
                decompress(algorithm, &bomb, limit).unwrap_err(),
                PayloadError::TooLarge {
                    what: "the decompressed payload",
                    limit
                }
            );
        }
    }

    #[test]
    fn a_snappy_block_that_claims_too_much_gets_no_memory() {
        // A length of 2³² − 1, and nothing behind it.
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(
            decompress(Algorithm::Snappy, &claim, usize::MAX).unwrap_err(),
            MALFORMED_SNAPPY
        );
    }

    #[test]
    fn a_snappy_block_tells_its_length() {
        let plain = vec![b'a'; 100_000];
        for (algorithm, told) in [
            (Algorithm::Snappy, Some(plain.len())),
            (Algorithm::Zlib, None),
            (Algorithm::Gzip, None),
        ] {
            let compressed = compress(algorithm, &plain);
            assert_eq!(told_len(algorithm, &compressed), told, "{algorithm:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_is_refused() {
        let plain = b"the same words again and again, ".repeat(20);
        for algorithm in ALL {
            let whole = compress(algorithm, &plain);
            for len in 0..whole.len() {
                let refused = decompress(algorithm, &whole[..len], 1 << 20).unwrap_err();
                assert!(matches!(refused, PayloadError::Malformed(_)), "{refused}");
            }
            for more in [&b"\0"[..], &whole] {
                let longer = [&whole[..], more].concat();
                let refused = decompress(algorithm, &longer, 1 << 20).unwrap_err();
                assert!(matches!(refused, PayloadError::Malformed(_)), "{refused}");
            }
        }
    }
}
