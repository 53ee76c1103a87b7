//! Compression before encryption, and decompression that stops at a limit.

use crate::{ConfigurationError, PayloadError};

/// Whether payloads are compressed before they are encrypted.
///
/// Compression makes the length of a ciphertext depend on the content. Where somebody who can watch lengths also
/// chooses part of a payload, that can give away the other part; so it is off unless asked for.
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
            return invalid("this build lacks the feature `zstd`");
        }
        if !(1..=19).contains(&level) {
            return invalid("the level of zstd must be between 1 and 19");
        }
        Ok(())
    }

    /// `plaintext` in compressed form, unless that is not wanted or not shorter.
    pub(crate) fn apply(self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let Self::Zstd { level, min_bytes } = self else {
            return None;
        };
        if plaintext.len() < min_bytes {
            return None;
        }
        compress(plaintext, level).filter(|compressed| compressed.len() < plaintext.len())
    }
}

#[cfg(feature = "zstd")]
fn compress(plaintext: &[u8], level: i32) -> Option<Vec<u8>> {
    zstd::bulk::compress(plaintext, level).ok()
}

#[cfg(not(feature = "zstd"))]
fn compress(_: &[u8], _: i32) -> Option<Vec<u8>> {
    None
}

/// Decompresses at most `limit` bytes.
#[cfg(feature = "zstd")]
pub(crate) fn decompress(
    compressed: &[u8],
    limit: usize,
) -> Result<zeroize::Zeroizing<Vec<u8>>, PayloadError> {
    use std::io::Read as _;

    /// 8 MiB, the most that RFC 8878 wants every decoder to support: a frame cannot make this one reserve more.
    const MAX_WINDOW_LOG: u32 = 23;
    let malformed = |_| PayloadError::Malformed("its content is no zstd frame");

    let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed).map_err(malformed)?;
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(malformed)?;
    let mut plaintext = zeroize::Zeroizing::new(Vec::new());
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(most)
        .read_to_end(&mut plaintext)
        .map_err(malformed)?;
    if plaintext.len() > limit {
        return Err(PayloadError::TooLarge {
            what: "the decompressed payload",
            limit,
        });
    }
    Ok(plaintext)
}

#[cfg(not(feature = "zstd"))]
pub(crate) fn decompress(_: &[u8], _: usize) -> Result<zeroize::Zeroizing<Vec<u8>>, PayloadError> {
    Err(PayloadError::Unsupported(
        "it is compressed, and the feature `zstd` is missing",
    ))
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use super::*;

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
