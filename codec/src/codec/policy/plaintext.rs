//! Whether payloads that are not encrypted are accepted.

use std::str::FromStr;

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

impl FromStr for PlaintextPolicy {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "allow" => Ok(Self::Allow),
            "reject" => Ok(Self::Reject),
            _ => Err(ConfigurationError::invalid(
                "plaintext",
                "it must be `allow` or `reject`",
            )),
        }
    }
}
