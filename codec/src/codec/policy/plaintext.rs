//! Whether payloads that are not encrypted are accepted.

use std::{fmt, str::FromStr};

use crate::ConfigurationError;

/// What happens to a payload that is not encrypted when it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaintextPolicy {
    /// It is returned unchanged. Allow this while histories from before encryption are in use, and where people look at
    /// such histories. With it, anybody who can write to Temporal can pass a worker values that were never encrypted.
    Allow,
    /// It is refused, so that every decoded value was encrypted by a holder of the key.
    #[default]
    Reject,
}

impl PlaintextPolicy {
    /// The name in settings, variables and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for PlaintextPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PlaintextPolicy {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Allow, Self::Reject]
            .into_iter()
            .find(|policy| policy.as_str() == name)
            .ok_or_else(|| {
                ConfigurationError::invalid("plaintext", "it must be `allow` or `reject`")
            })
    }
}
