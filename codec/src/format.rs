//! The bytes of every format, without cryptography and without I/O: encrypted payloads taken apart and put together.

pub(crate) mod direct;
pub(crate) mod envelope_v1;
pub(crate) mod envelope_v2;
pub(crate) mod file;

use std::{fmt, str::FromStr};

use self::{direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2};
use crate::{
    ConfigurationError, KeyUri, Payload, PayloadError, PayloadExt as _, Scheme, WrappedDek,
    payload::{ENCODING_ENVELOPE, ENVELOPE_VERSION},
};
use temporal_kms::support::MAX_WRAPPED_LEN;

/// A format of encrypted payloads. A codec writes one, and opens those that its configuration names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Envelope version 2: a data key seals any number of payloads, bound to their namespace.
    #[default]
    Envelope,
    /// Envelope version 1, for readers that know nothing else. It binds no context.
    EnvelopeV1,
    /// Every payload encrypted by the KMS itself: a call for each, and no context bound. A payload over the service's
    /// limit is sealed as [`Envelope`](Self::Envelope) instead.
    Direct,
}

impl FromStr for Format {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "envelope" => Ok(Self::Envelope),
            "envelope-v1" => Ok(Self::EnvelopeV1),
            "direct" => Ok(Self::Direct),
            _ => Err(ConfigurationError::invalid(
                "format",
                "it must be `envelope`, `envelope-v1` or `direct`",
            )),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope => "envelope",
            Self::EnvelopeV1 => "envelope-v1",
            Self::Direct => "direct",
        })
    }
}

impl Format {
    /// Whether a payload is bound to its namespace and the rest of its context.
    pub(crate) const fn binds_context(self) -> bool {
        matches!(self, Self::Envelope)
    }
}

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

/// Reads a key's name: a URI, or the bare resource name that codecs for Google Cloud KMS write.
fn parse_key(bytes: &[u8]) -> Result<KeyUri, PayloadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| PayloadError::Malformed("the name of its key is not text"))?;
    let parsed = if text.starts_with("projects/") {
        KeyUri::new(Scheme::GCP_KMS, text)
    } else {
        text.parse()
    };
    parsed.map_err(|_| PayloadError::Malformed("the name of its key is not a key URI"))
}

/// Takes a wrapped data key from metadata.
fn wrapped_in(metadata: Option<Vec<u8>>) -> Result<WrappedDek, PayloadError> {
    let bytes = metadata.ok_or(PayloadError::Malformed("it has no `encrypted-dek`"))?;
    parse_wrapped(bytes)
}

/// Checks the length of a wrapped data key.
pub(crate) fn parse_wrapped(bytes: Vec<u8>) -> Result<WrappedDek, PayloadError> {
    match bytes.len() {
        0 => Err(PayloadError::Malformed("its wrapped data key is empty")),
        1..=MAX_WRAPPED_LEN => Ok(WrappedDek::new(bytes)),
        _ => Err(PayloadError::TooLarge {
            what: "the wrapped data key",
            limit: MAX_WRAPPED_LEN,
        }),
    }
}

#[cfg(test)]
mod tests;
