//! Names of Temporal namespaces.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use super::configuration_error::ConfigurationError;

/// Temporal's own default limit on the length of a namespace's name is 1,000 bytes.
const MAX_LEN: usize = 1000;

/// A Temporal namespace: 1 to 1,000 bytes of UTF-8 without control characters.
///
/// Every envelope is bound to a namespace, so that a payload that was moved to another namespace does not open there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Reads a name.
    ///
    /// # Errors
    /// When the name is empty, too long, or holds a control character.
    pub fn new(name: &str) -> Result<Self, ConfigurationError> {
        let reason = match name {
            "" => "it is empty; name a namespace",
            long if long.len() > MAX_LEN => "it is longer than 1,000 bytes; use a shorter name",
            odd if odd.chars().any(char::is_control) => "it holds a control character; remove it",
            name => return Ok(Self(name.into())),
        };
        Err(ConfigurationError::invalid("namespace", reason))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = ConfigurationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

/// A map of namespaces can be asked for a name that may not be one.
impl Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_temporal_accepts() {
        for good in ["default", "prod.a1b2c", "pröd", &"n".repeat(1000)] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_what_cannot_be_a_namespace() {
        for bad in ["", "a\nb", "\u{0}", &"n".repeat(1001)] {
            let error = Namespace::new(bad).unwrap_err().to_string();
            assert!(error.starts_with("namespace: it "), "{error}");
        }
    }
}
