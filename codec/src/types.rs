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
    /// Envelope version 1, for readers that know no other format. It binds no context.
    EnvelopeV1,
    /// Every payload encrypted by the KMS itself: a call for each, and no context bound. A payload over the service's
    /// limit is sealed as [`Envelope`](Self::Envelope) instead.
    Direct,
    /// Read only, for migration: `binary/encrypted` of Temporal's samples, with a [static key](crate::StaticKeys). It binds
    /// no context.
    Static,
    /// Read only, for migration: `binary/encrypted` of temporal-proxy, with a data key that a KMS wrapped. It binds no
    /// context.
    TemporalProxy,
    /// Read only, for migration: `binary/zlib` of the Go SDK. It is compressed and not encrypted.
    Zlib,
    /// Read only, for migration: `binary/snappy` of the Go samples. It is compressed and not encrypted.
    Snappy,
    /// Read only, for migration: `binary/gzip` of the Python samples. It is compressed and not encrypted.
    Gzip,
}

impl FromStr for Format {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| {
                let reason = "it must be `envelope`, `envelope-v1` or `direct`; or, to open only, `static`, `temporal-proxy`, `zlib`, `snappy` or `gzip`";
                ConfigurationError::invalid("format", reason)
            })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Format {
    /// Every format.
    pub(crate) const ALL: [Self; 8] = [
        Self::Envelope,
        Self::EnvelopeV1,
        Self::Direct,
        Self::Static,
        Self::TemporalProxy,
        Self::Zlib,
        Self::Snappy,
        Self::Gzip,
    ];

    /// The name in settings, variables and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::EnvelopeV1 => "envelope-v1",
            Self::Direct => "direct",
            Self::Static => "static",
            Self::TemporalProxy => "temporal-proxy",
            Self::Zlib => "zlib",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
        }
    }

    /// Whether a codec can write the format. The others are formats of other codecs, and are read only.
    #[must_use]
    pub const fn is_written(self) -> bool {
        matches!(self, Self::Envelope | Self::EnvelopeV1 | Self::Direct)
    }

    /// Whether a payload in the format is encrypted. The others are compressed only.
    #[must_use]
    pub const fn encrypts(self) -> bool {
        !matches!(self, Self::Zlib | Self::Snappy | Self::Gzip)
    }

    /// Whether a payload is bound to its namespace and the rest of its context.
    pub(crate) const fn binds_context(self) -> bool {
        matches!(self, Self::Envelope)
    }
}
