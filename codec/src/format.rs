//! The bytes of every format, without cryptography and without I/O: encrypted payloads taken apart and put together.

pub(crate) mod direct;
pub(crate) mod envelope_v1;
pub(crate) mod envelope_v2;
pub(crate) mod file;
pub(crate) mod recipients;

use self::{direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2};
use crate::{
    Format, Payload, PayloadError, PayloadExt as _, Scheme,
    payload::{ENCODING_ENVELOPE, ENVELOPE_VERSION},
};

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
}

impl Marker {
    /// The marker of a payload. Only the exact bytes of an `encoding` mark one.
    pub(crate) fn of(payload: &Payload) -> Option<Self> {
        let encoding = payload.encoding()?;
        if encoding != ENCODING_ENVELOPE {
            return Scheme::from_direct_encoding(encoding).map(Self::Direct);
        }
        let version = payload.metadata.get(ENVELOPE_VERSION);
        Some(match version.map(Vec::as_slice) {
            None => Self::EnvelopeV1,
            Some(b"2") => Self::EnvelopeV2,
            Some(_) => Self::UnknownVersion,
        })
    }

    pub(crate) const fn format(self) -> Result<Format, PayloadError> {
        match self {
            Self::Direct(_) => Ok(Format::Direct),
            Self::EnvelopeV1 => Ok(Format::EnvelopeV1),
            Self::EnvelopeV2 => Ok(Format::Envelope),
            Self::UnknownVersion => Err(UNKNOWN_VERSION),
        }
    }

    /// Takes apart a payload that has this marker.
    pub(crate) fn parse(self, payload: Payload) -> Result<Parsed, PayloadError> {
        match self {
            Self::Direct(kms) => direct::parse(kms, payload).map(Parsed::Direct),
            Self::EnvelopeV1 => envelope_v1::parse(payload).map(Parsed::EnvelopeV1),
            Self::EnvelopeV2 => envelope_v2::parse(payload).map(Parsed::EnvelopeV2),
            Self::UnknownVersion => Err(UNKNOWN_VERSION),
        }
    }
}

const UNKNOWN_VERSION: PayloadError = PayloadError::Malformed("its envelope version is unknown");

/// An encrypted payload, taken apart.
pub(crate) enum Parsed {
    Direct(Direct),
    EnvelopeV1(EnvelopeV1),
    EnvelopeV2(EnvelopeV2),
}

#[cfg(test)]
mod tests;
