//! Which context pairs a payload may, and must, carry.

use std::{collections::BTreeSet, convert::Infallible, fmt, str::FromStr};

use crate::{ConfigurationError, EncryptionContext, PayloadError};
use temporal_kms::support::NAMESPACE;

/// Which of the configured context pairs a payload must carry to be decoded.
///
/// Without a requirement, a payload that lacks a configured pair is decoded: the pair may have been added later. Such a
/// pair separates nothing, since any holder of the key can leave it out. A required pair does separate: payloads without
/// it are refused with [`PayloadError::MissingContext`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequiredContext {
    /// No pair is required.
    #[default]
    None,
    /// Every configured pair is required.
    All,
    /// The pairs with these names are required. Each must be configured.
    Named(BTreeSet<String>),
}

impl RequiredContext {
    /// Requires the pairs with these names.
    #[must_use]
    pub fn named<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Named(names.into_iter().map(Into::into).collect())
    }

    fn requires(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

impl From<bool> for RequiredContext {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::None }
    }
}

/// `true`, `false`, or names with commas between them: the form that is parsed.
impl fmt::Display for RequiredContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("false"),
            Self::All => f.write_str("true"),
            Self::Named(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

/// `true`, `false`, or names with commas between them.
impl FromStr for RequiredContext {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "true" => Self::All,
            "false" => Self::None,
            names => {
                let names = names.split(',').map(str::trim);
                Self::named(names.filter(|name| !name.is_empty()))
            }
        })
    }
}

/// The configured context, and what it demands of a payload's.
#[derive(Debug)]
pub(crate) struct ContextPolicy {
    configured: EncryptionContext,
    required: RequiredContext,
}

impl ContextPolicy {
    pub(crate) fn new(
        configured: EncryptionContext,
        required: RequiredContext,
    ) -> Result<Self, ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("require_context", reason));
        let policy = Self {
            configured,
            required,
        };
        match &policy.required {
            RequiredContext::All if policy.pairs().next().is_none() => {
                return invalid(
                    "no context pair is configured; set one in `context`, or remove this setting"
                        .to_owned(),
                );
            }
            RequiredContext::Named(names) if names.is_empty() => {
                return invalid(
                    "no pair is named; name the pairs, or write `true` for all or `false` for none"
                        .to_owned(),
                );
            }
            RequiredContext::Named(names) => {
                let unknown = |name: &&String| policy.pairs().all(|(known, _)| known != *name);
                if let Some(name) = names.iter().find(unknown) {
                    return invalid(format!(
                        "the pair `{name}` is not configured; set it in `context`"
                    ));
                }
            }
            _ => {}
        }
        Ok(policy)
    }

    /// Whether any pair is required.
    pub(crate) fn requires_any(&self) -> bool {
        self.pairs().any(|(name, _)| self.required.requires(name))
    }

    /// A pair that both contexts hold must have one value. A pair that only one of them holds was added or removed over
    /// time, unless it is required.
    pub(crate) fn check(&self, context: &EncryptionContext) -> Result<(), PayloadError> {
        for (name, value) in self.pairs() {
            match context.get(name) {
                Some(theirs) if theirs != value => {
                    return Err(PayloadError::ForeignContext(name.to_owned()));
                }
                None if self.required.requires(name) => {
                    return Err(PayloadError::MissingContext(name.to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The configured pairs, without the namespace, which has a check of its own.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.configured
            .iter()
            .filter(|(name, _)| *name != NAMESPACE)
    }
}
