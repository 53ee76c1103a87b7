use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use crate::{
    ConfigurationError, EncryptionContext, Namespace, PayloadError, context::NAMESPACE,
    kms::KeyProvider,
};

/// What becomes of a payload that is not encrypted when it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaintextPolicy {
    /// It is returned as it is. Histories from before encryption, and search attributes, need this.
    #[default]
    Allow,
    /// It is refused: whoever can write to Temporal cannot slip in what was never encrypted.
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
                "it is neither `allow` nor `reject`",
            )),
        }
    }
}

/// The keys that every data key is wrapped by. There is always one.
#[derive(Clone)]
pub(crate) struct EncryptingKeys {
    pub(crate) first: Arc<dyn KeyProvider>,
    pub(crate) others: Vec<Arc<dyn KeyProvider>>,
}

impl EncryptingKeys {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn KeyProvider>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// What a codec may open: checked before any KMS is called, since everything in a payload comes from outside.
pub(crate) struct Policy {
    pub(crate) namespaces: BTreeSet<Namespace>,
    pub(crate) context: EncryptionContext,
    pub(crate) plaintext: PlaintextPolicy,
}

impl Policy {
    /// The context must name a namespace that is served. Where it and the configured one both hold another pair, they
    /// must agree on it; a pair that only one of them holds was added or dropped over time.
    pub(crate) fn check_context(&self, context: &EncryptionContext) -> Result<(), PayloadError> {
        let served = context
            .get(NAMESPACE)
            .is_some_and(|name| self.namespaces.iter().any(|served| served.as_str() == name));
        if !served {
            return Err(PayloadError::ForeignNamespace);
        }
        let differs = self
            .context
            .iter()
            .filter(|(name, _)| *name != NAMESPACE)
            .find(|(name, value)| context.get(name).is_some_and(|theirs| theirs != *value));
        match differs {
            Some((name, _)) => Err(PayloadError::ForeignContext(name.to_owned())),
            None => Ok(()),
        }
    }
}
