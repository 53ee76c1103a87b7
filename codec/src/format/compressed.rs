//! Payloads that other codecs compressed: `data` is the serialized payload in compressed form. None of them is encrypted.

use std::mem;

use temporal_kms::support::SecretVec;

use crate::{Format, Payload, crypto::decompression::Algorithm, payload::Plain};

/// A payload in compressed form.
pub(crate) struct Compressed {
    pub(crate) algorithm: Algorithm,
    pub(crate) data: SecretVec,
}

/// The algorithm that an `encoding` names.
pub(super) fn algorithm(encoding: &str) -> Option<Algorithm> {
    match encoding {
        "binary/zlib" => Some(Algorithm::Zlib),
        "binary/snappy" => Some(Algorithm::Snappy),
        "binary/gzip" => Some(Algorithm::Gzip),
        _ => None,
    }
}

pub(super) const fn format(algorithm: Algorithm) -> Format {
    match algorithm {
        Algorithm::Zlib => Format::Zlib,
        Algorithm::Snappy => Format::Snappy,
        Algorithm::Gzip => Format::Gzip,
    }
}

pub(super) fn parse(algorithm: Algorithm, mut payload: Plain<Payload>) -> Compressed {
    Compressed {
        algorithm,
        data: SecretVec::from(mem::take(&mut payload.data)),
    }
}
