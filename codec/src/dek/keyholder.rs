use std::sync::Arc;

use super::{CacheKey, DataKey, DekCache};
use crate::{
    EncryptionContext, Error, KeyUri, PayloadError,
    format::envelope_v2::Recipient,
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
    stats::Counters,
};

/// A provider that may unwrap, and what it is to unwrap.
pub(crate) type Candidate = (Arc<dyn KeyProvider>, Recipient);

/// The keys that may be used for opening, and the data keys that they have unwrapped.
pub(crate) struct Keyholder {
    /// In the order in which they are tried.
    keys: Vec<Arc<dyn KeyProvider>>,
    cache: Arc<DekCache>,
    counters: Arc<Counters>,
}

impl Keyholder {
    pub(crate) fn new(
        keys: Vec<Arc<dyn KeyProvider>>,
        cache: Arc<DekCache>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            keys,
            cache,
            counters,
        }
    }

    pub(crate) fn keys(&self) -> &[Arc<dyn KeyProvider>] {
        &self.keys
    }

    /// The provider of a key, if it may be used.
    pub(crate) fn provider(&self, key: &KeyUri) -> Result<&Arc<dyn KeyProvider>, PayloadError> {
        self.keys
            .iter()
            .find(|provider| provider.goes_by(key))
            .ok_or_else(|| PayloadError::keys_not_allowed([key]))
    }

    /// Whether the key of any recipient may be used.
    pub(crate) fn check_any(&self, recipients: &[Recipient]) -> Result<(), PayloadError> {
        let mut named = recipients.iter().map(|recipient| &recipient.key);
        if named.any(|key| self.keys.iter().any(|known| known.goes_by(key))) {
            return Ok(());
        }
        let keys = recipients.iter().map(|recipient| &recipient.key);
        Err(PayloadError::keys_not_allowed(keys))
    }

    /// The data key by whichever recipient gives it: those that may be used, in the configured order.
    pub(crate) async fn unwrap_any(
        &self,
        recipients: Vec<Recipient>,
        context: &EncryptionContext,
    ) -> Result<Arc<DataKey>, Error> {
        let candidates = self.usable(recipients)?;
        self.unwrap(candidates, context).await
    }

    /// The data key by whichever candidate gives it, preferably without a call.
    pub(crate) async fn unwrap(
        &self,
        candidates: Vec<Candidate>,
        context: &EncryptionContext,
    ) -> Result<Arc<DataKey>, Error> {
        let candidates: Vec<_> = candidates
            .into_iter()
            .map(|(provider, recipient)| {
                let key = CacheKey::new(&recipient.key, &recipient.wrapped, context);
                (key, provider, recipient.wrapped)
            })
            .collect();
        if let Some(known) = candidates.iter().find_map(|(key, ..)| self.cache.get(key)) {
            self.counters.dek_cache_hits.add(1);
            return Ok(known);
        }

        self.counters.dek_cache_misses.add(1);
        let mut failure = Error::from(PayloadError::NotAuthentic);
        for (key, provider, wrapped) in candidates {
            let (counters, context) = (self.counters.clone(), context.clone());
            let unwrapped = self.cache.get_or_unwrap(key, || async move {
                counters.unwraps.add(1);
                let dek = provider.unwrap(&wrapped, &context).await.map_err(refusal)?;
                Ok(DataKey::new(dek))
            });
            match unwrapped.await {
                Ok(key) => return Ok(key),
                // Where one key's service is away the data may well be fine: that is what the caller should hear.
                Err(error) if failure.is_transient() && !error.is_transient() => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn usable(&self, recipients: Vec<Recipient>) -> Result<Vec<Candidate>, PayloadError> {
        let mut usable: Vec<_> = recipients
            .iter()
            .filter_map(|recipient| {
                let mut keys = self.keys.iter().enumerate();
                let (position, provider) = keys.find(|(_, key)| key.goes_by(&recipient.key))?;
                Some((position, provider.clone(), recipient.clone()))
            })
            .collect();
        if usable.is_empty() {
            let keys = recipients.iter().map(|recipient| &recipient.key);
            return Err(PayloadError::keys_not_allowed(keys));
        }
        usable.sort_by_key(|(position, ..)| *position);
        Ok(usable
            .into_iter()
            .map(|(_, provider, recipient)| (provider, recipient))
            .collect())
    }
}

/// A KMS that finds a ciphertext altered, or under another context, says the same as a tag that does not match.
pub(crate) fn refusal(error: ProviderError) -> Error {
    match error.kind() {
        ProviderErrorKind::InvalidCiphertext | ProviderErrorKind::ContextMismatch => {
            PayloadError::NotAuthentic.into()
        }
        _ => error.into(),
    }
}
