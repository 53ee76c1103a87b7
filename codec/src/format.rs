//! The bytes of every format, without cryptography and without I/O: encrypted payloads taken apart and put together.

pub(crate) mod compressed;
pub(crate) mod direct;
pub(crate) mod encrypted;
pub(crate) mod envelope_v1;
pub(crate) mod envelope_v2;
pub(crate) mod file;
pub(crate) mod recipients;
pub(crate) mod static_key;
pub(crate) mod temporal_proxy;
pub(crate) mod vault_transit;

use self::{
    compressed::Compressed, direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2,
    static_key::StaticKey,
};
use crate::{
    Format, Payload, PayloadError, Scheme,
    crypto::decompression::Algorithm,
    payload::{self, ENCODING, ENCODING_ENVELOPE, ENVELOPE_VERSION, Plain},
};
use temporal_kms_codec_proto::Metadata;

/// What a payload claims to be. The claim proves nothing.
///
/// This is the one table of formats: a payload without a marker is not encrypted, and every other is parsed by the
/// marker's format or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Direct(Scheme),
    EnvelopeV1,
    EnvelopeV2,
    UnknownVersion,
    Static,
    TemporalProxy,
    VaultTransit,
    Compressed(Algorithm),
}

impl Marker {
    /// The marker of a payload. Only the exact bytes of an `encoding` mark one.
    pub(crate) fn of(payload: &Payload) -> Option<Self> {
        Self::of_parts(&payload.metadata, &payload.data)
    }

    /// As [`of`](Self::of).
    pub(crate) fn of_parts(metadata: &Metadata, data: &[u8]) -> Option<Self> {
        match payload::text(metadata, ENCODING)? {
            ENCODING_ENVELOPE => {
                let version = metadata.get(ENVELOPE_VERSION);
                Some(match version.map(Vec::as_slice) {
                    None => Self::EnvelopeV1,
                    Some(b"2") => Self::EnvelopeV2,
                    Some(_) => Self::UnknownVersion,
                })
            }
            encrypted::ENCODING if temporal_proxy::is_marked(metadata) => Some(Self::TemporalProxy),
            encrypted::ENCODING if vault_transit::is_marked(metadata, data) => {
                Some(Self::VaultTransit)
            }
            encrypted::ENCODING => Some(Self::Static),
            other => match compressed::algorithm(other) {
                Some(algorithm) => Some(Self::Compressed(algorithm)),
                None => Scheme::from_direct_encoding(other).map(Self::Direct),
            },
        }
    }

    /// Whether metadata mark a format. The data can only decide which one.
    pub(crate) fn is_in(metadata: &Metadata) -> bool {
        Self::of_parts(metadata, &[]).is_some()
    }

    pub(crate) const fn format(self) -> Result<Format, PayloadError> {
        match self {
            Self::Direct(_) => Ok(Format::Direct),
            Self::EnvelopeV1 => Ok(Format::EnvelopeV1),
            Self::EnvelopeV2 => Ok(Format::Envelope),
            Self::UnknownVersion => Err(UNKNOWN_VERSION),
            Self::Static => Ok(Format::Static),
            Self::TemporalProxy => Ok(Format::TemporalProxy),
            Self::VaultTransit => Err(vault_transit::REFUSED),
            Self::Compressed(algorithm) => Ok(compressed::format(algorithm)),
        }
    }

    /// Whether such payloads are encrypted. The others are compressed only.
    pub(crate) const fn encrypts(self) -> bool {
        !matches!(self, Self::Compressed(_))
    }

    /// Whether a codec of this project made such payloads. Other codecs may be chained with this one, so their payloads are
    /// values like any other until the configuration opens their formats.
    pub(crate) const fn is_ours(self) -> bool {
        match self {
            Self::Direct(_) | Self::EnvelopeV1 | Self::EnvelopeV2 | Self::UnknownVersion => true,
            Self::Static | Self::TemporalProxy | Self::VaultTransit | Self::Compressed(_) => false,
        }
    }

    /// Takes apart a payload that has this marker. It may be a value that is not encrypted at all, so what is left of it is
    /// erased.
    pub(crate) fn parse(self, payload: Plain<Payload>) -> Result<Parsed, PayloadError> {
        match self {
            Self::Direct(kms) => direct::parse(kms, payload).map(Parsed::Direct),
            Self::EnvelopeV1 => envelope_v1::parse(payload).map(Parsed::EnvelopeV1),
            Self::EnvelopeV2 => envelope_v2::parse(payload).map(Parsed::EnvelopeV2),
            Self::UnknownVersion => Err(UNKNOWN_VERSION),
            Self::Static => static_key::parse(payload).map(Parsed::Static),
            Self::TemporalProxy => temporal_proxy::parse(payload).map(Parsed::EnvelopeV1),
            Self::VaultTransit => Err(vault_transit::REFUSED),
            Self::Compressed(algorithm) => {
                Ok(Parsed::Compressed(compressed::parse(algorithm, payload)))
            }
        }
    }
}

const UNKNOWN_VERSION: PayloadError = PayloadError::Malformed("its envelope version is unknown");

/// An encrypted payload, taken apart.
pub(crate) enum Parsed {
    Direct(Direct),
    EnvelopeV1(EnvelopeV1),
    EnvelopeV2(EnvelopeV2),
    Static(StaticKey),
    Compressed(Compressed),
}

#[cfg(test)]
mod tests;
