//! What a codec may open. Everything in a payload comes from outside, so this is checked before any KMS is called.

mod context;
mod formats;
mod plaintext;

use std::collections::BTreeSet;

pub(crate) use self::{context::ContextPolicy, formats::FormatPolicy};
pub use self::{context::RequiredContext, plaintext::PlaintextPolicy};
use crate::{ConfigurationError, EncryptionContext, Namespace, PayloadError};
use temporal_kms::support::{NAMESPACE, shown};

/// What a codec may open.
pub(crate) struct Policy {
    pub(crate) namespace: Namespace,
    pub(crate) further_namespaces: BTreeSet<Namespace>,
    pub(crate) formats: FormatPolicy,
    pub(crate) context: ContextPolicy,
    pub(crate) plaintext: PlaintextPolicy,
}

impl Policy {
    /// Whether the settings can work together.
    pub(crate) fn check(&self) -> Result<(), ConfigurationError> {
        match self.formats.unbound() {
            Some(format) if self.context.requires_any() => Err(ConfigurationError::invalid(
                "require_context",
                format!(
                    "payloads of the format `{format}` carry no context; write `envelope` and remove `{format}` from `decrypt_formats`"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Checks the context of a payload: its namespace and its other pairs.
    pub(crate) fn check_context(&self, context: &EncryptionContext) -> Result<(), PayloadError> {
        let theirs = context.get(NAMESPACE);
        if !theirs.is_some_and(|name| self.serves(name)) {
            return Err(PayloadError::ForeignNamespace {
                found: theirs.map(|name| shown(name, MAX_SHOWN_NAMESPACE)),
                expected: shown(self.namespace.as_str(), MAX_SHOWN_NAMESPACE),
            });
        }
        self.context.check(context)
    }

    fn serves(&self, name: &str) -> bool {
        let mut served = std::iter::once(&self.namespace).chain(&self.further_namespaces);
        served.any(|namespace| namespace.as_str() == name)
    }
}

/// Characters of a namespace's name that an error shows.
const MAX_SHOWN_NAMESPACE: usize = 64;
