//! The bytes of every format, without cryptography and without I/O: encrypted payloads taken apart and put together.

pub(crate) mod direct;
pub(crate) mod envelope_v1;
pub(crate) mod envelope_v2;
pub(crate) mod file;

use std::{fmt, str::FromStr};

use self::{direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2};
use crate::{
    ConfigurationError, KeyUri, KmsKind, Payload, PayloadError, PayloadExt as _, WrappedDek,
    dek::MAX_WRAPPED_LEN,
    payload::{ENCODING_ENVELOPE, ENVELOPE_VERSION},
};

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

/// Whether a payload says of itself that it is encrypted. Nothing is known of the truth of that.
pub(crate) fn is_marked(payload: &Payload) -> bool {
    payload.encoding().is_some_and(|encoding| {
        encoding == ENCODING_ENVELOPE || KmsKind::from_direct_encoding(encoding).is_some()
    })
}

/// A payload, sorted by what has to be done with it.
pub(crate) enum Parsed {
    /// Not encrypted by any format that is read here.
    Plain(Payload),
    Direct(Direct),
    EnvelopeV1(EnvelopeV1),
    EnvelopeV2(EnvelopeV2),
}

impl Parsed {
    /// The format, if it is encrypted.
    pub(crate) const fn format(&self) -> Option<Format> {
        match self {
            Self::Plain(_) => None,
            Self::Direct(_) => Some(Format::Direct),
            Self::EnvelopeV1(_) => Some(Format::EnvelopeV1),
            Self::EnvelopeV2(_) => Some(Format::Envelope),
        }
    }
}

/// Takes a payload apart. What is marked as encrypted but malformed is an error, never plaintext.
pub(crate) fn parse(payload: Payload) -> Result<Parsed, PayloadError> {
    let Some(encoding) = payload.encoding() else {
        return Ok(Parsed::Plain(payload));
    };
    if encoding == ENCODING_ENVELOPE {
        return match payload.metadata.get(ENVELOPE_VERSION).map(Vec::as_slice) {
            None | Some(b"1") => envelope_v1::parse(payload).map(Parsed::EnvelopeV1),
            Some(b"2") => envelope_v2::parse(payload).map(Parsed::EnvelopeV2),
            Some(_) => Err(PayloadError::Malformed("its envelope version is unknown")),
        };
    }
    match KmsKind::from_direct_encoding(encoding) {
        Some(kms) => direct::parse(kms, payload).map(Parsed::Direct),
        None => Ok(Parsed::Plain(payload)),
    }
}

/// Reads a key's name: a URI, or the bare resource name that codecs for Google Cloud KMS write.
fn parse_key(bytes: &[u8]) -> Result<KeyUri, PayloadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| PayloadError::Malformed("the name of its key is no text"))?;
    let parsed = if text.starts_with("projects/") {
        KeyUri::new(KmsKind::GcpKms, text)
    } else {
        text.parse()
    };
    parsed.map_err(|_| PayloadError::Malformed("the name of its key is no key URI"))
}

fn parse_wrapped(bytes: Option<Vec<u8>>) -> Result<WrappedDek, PayloadError> {
    match bytes {
        None => Err(PayloadError::Malformed("it has no `encrypted-dek`")),
        Some(bytes) if bytes.is_empty() => {
            Err(PayloadError::Malformed("its `encrypted-dek` is empty"))
        }
        Some(bytes) if bytes.len() > MAX_WRAPPED_LEN => Err(PayloadError::TooLarge {
            what: "the wrapped data key",
            limit: MAX_WRAPPED_LEN,
        }),
        Some(bytes) => Ok(WrappedDek::new(bytes)),
    }
}

#[cfg(test)]
mod tests;
