//! Data keys that are known already. They open payloads without a call, and without waiting.

use std::sync::Arc;

use super::DecryptionKeys;
use crate::{
    EncryptionContext,
    dek::{cache_key::CacheKey, expanded_dek::ExpandedDek, rest::Rest},
    types::Recipient,
};

/// The wrapped data key that is tried first among those of an envelope.
pub(crate) struct FirstChoice {
    name: CacheKey,
    rest: Arc<Rest>,
}

impl DecryptionKeys {
    /// The wrapped data key that [`open`](Self::open) tries first.
    pub(crate) fn first_choice(
        &self,
        recipients: &[Recipient],
        context: &EncryptionContext,
    ) -> Option<FirstChoice> {
        let first = self.usable(recipients, context).ok()?.into_iter().next()?;
        Some(FirstChoice {
            name: first.name,
            rest: first.rest,
        })
    }

    /// The data key itself, if it is known and proven. One in doubt takes the other way, which asks for it again.
    pub(crate) fn known(&self, choice: &FirstChoice) -> Option<Arc<ExpandedDek>> {
        let key = self.cache.get(&choice.name)?;
        key.is_proven().then_some(key)
    }

    /// Notes that a known data key has opened a payload, and so that its key-encryption key has worked.
    pub(crate) fn note_known(choice: &FirstChoice) {
        choice.rest.worked();
    }
}
