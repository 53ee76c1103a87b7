//! What errors, formats and data keys all name. This module imports nothing else of this crate.

use std::{fmt, str::FromStr};

use temporal_kms::{ConfigurationError, KeyUri, WrappedDek};

/// The most keys that can wrap one data key. A payload holds one wrapped key without a number and up to nine with one.
pub(crate) const MAX_RECIPIENTS: usize = 10;

/// A key-encryption key and the data key as it wrapped it.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) key: KeyUri,
    pub(crate) wrapped: WrappedDek,
}

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
