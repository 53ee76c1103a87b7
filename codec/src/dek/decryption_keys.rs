//! From what a payload says of its keys to an unwrapped data key that opens it.

mod direct;
mod known;

use std::sync::Arc;

pub(crate) use self::known::FirstChoice;
use super::{
    budget::{Attempt, Budget, Failures, Plaintext},
    cache::DekCache,
    cache_key::CacheKey,
    expanded_dek::ExpandedDek,
    failure::{Failure, as_told, panicked, refusal},
    refusals::is_the_ciphertexts,
    rest::Rest,
    single_flight::SingleFlight,
};
use crate::{
    EncryptionContext, Error, KeyUri, PayloadError, WrappedDek, kms::KeyProvider, stats::Counters,
    types::Recipient,
};
use temporal_kms::support::clock::Clock;

/// The keys that may be used for opening, and the data keys that they have unwrapped.
pub(crate) struct DecryptionKeys {
    /// In the order in which they are tried.
    keys: Vec<OpeningKey>,
    failures: Arc<Failures>,
    cache: Arc<DekCache>,
    decryptions: SingleFlight<CacheKey, Plaintext>,
    counters: Arc<Counters>,
}

struct OpeningKey {
    provider: Arc<dyn KeyProvider>,
    unwrapping: Arc<Rest>,
    decrypting: Arc<Rest>,
}

/// A wrapped data key, and the key that unwraps it.
struct Candidate {
    /// Among the keys.
    position: usize,
    provider: Arc<dyn KeyProvider>,
    rest: Arc<Rest>,
    wrapped: WrappedDek,
    name: CacheKey,
    /// The data key that the KMS gave before, and that did not open the payload.
    doubted: Option<Arc<ExpandedDek>>,
}

impl DecryptionKeys {
    pub(crate) fn new(
        keys: Vec<Arc<dyn KeyProvider>>,
        cache: Arc<DekCache>,
        clock: &Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let opening = |provider: Arc<dyn KeyProvider>| {
            let rest = || Arc::new(Rest::of_ciphertexts(provider.uri(), cache.worked()));
            OpeningKey {
                unwrapping: rest(),
                decrypting: rest(),
                provider,
            }
        };
        Self {
            keys: keys.into_iter().map(opening).collect(),
            failures: Arc::new(Failures::new(clock.clone())),
            cache,
            decryptions: SingleFlight::new(),
            counters,
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<dyn KeyProvider>> {
        self.keys.iter().map(|key| &key.provider)
    }

    /// The calls that one request may cause.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(&self.failures)
    }

    /// The provider of a key, if it may be used.
    pub(crate) fn provider(&self, key: &KeyUri) -> Result<&Arc<dyn KeyProvider>, PayloadError> {
        Ok(&self.find(key)?.1.provider)
    }

    /// Whether the key of any recipient may be used.
    pub(crate) fn check_any(&self, recipients: &[Recipient]) -> Result<(), PayloadError> {
        let mut named = recipients.iter().map(|recipient| &recipient.key);
        if named.any(|key| self.find(key).is_ok()) {
            return Ok(());
        }
        let keys = recipients.iter().map(|recipient| &recipient.key);
        Err(PayloadError::keys_not_allowed(keys))
    }

    /// Opens something with the data key of whichever recipient gives it: those that may be used, in the configured
    /// order.
    ///
    /// `open` answers [`PayloadError::NotAuthentic`] where the key does not fit.
    pub(crate) async fn open<T>(
        &self,
        recipients: &[Recipient],
        context: &EncryptionContext,
        budget: &Budget,
        open: impl FnMut(&ExpandedDek) -> Result<T, PayloadError> + Send,
    ) -> Result<T, Error> {
        let candidates = self.usable(recipients, context)?;
        self.open_with(candidates, context, budget, open).await
    }

    /// As [`open`](Self::open), of a data key whose wrapping key may be unknown: then it is one of those that may be used.
    pub(crate) async fn open_v1<T>(
        &self,
        key: Option<&KeyUri>,
        wrapped: &WrappedDek,
        budget: &Budget,
        open: impl FnMut(&ExpandedDek) -> Result<T, PayloadError> + Send,
    ) -> Result<T, Error> {
        let recipient = |key: &KeyUri| Recipient {
            key: key.clone(),
            wrapped: wrapped.clone(),
        };
        let recipients: Vec<Recipient> = match key {
            Some(key) => vec![recipient(key)],
            None => self.keys().map(|key| recipient(key.uri())).collect(),
        };
        let no_context = EncryptionContext::empty();
        self.open(&recipients, &no_context, budget, open).await
    }

    async fn open_with<T>(
        &self,
        candidates: Vec<Candidate>,
        context: &EncryptionContext,
        budget: &Budget,
        mut open: impl FnMut(&ExpandedDek) -> Result<T, PayloadError> + Send,
    ) -> Result<T, Error> {
        let mut failure = Failure::default();
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        for mut candidate in candidates {
            let Some(key) = self.cache.get(&candidate.name) else {
                match self.cache.refusals().get(&candidate.name) {
                    Some(refusal) => {
                        if is_the_ciphertexts(&refusal) {
                            known.push(candidate.name);
                        }
                        self.counters.refusal_cache_hits.add(1);
                        failure.note(as_told(refusal));
                    }
                    None => unknown.push(candidate),
                }
                continue;
            };
            match open(&key) {
                Err(PayloadError::NotAuthentic) if !key.is_proven() => {
                    candidate.doubted = Some(key);
                    unknown.push(candidate);
                }
                Err(PayloadError::NotAuthentic) => {
                    known.push(candidate.name);
                    failure.note(PayloadError::NotAuthentic.into());
                }
                opened => {
                    self.counters.dek_cache_hits.add(1);
                    key.prove();
                    candidate.rest.worked();
                    return Ok(opened?);
                }
            }
        }
        if unknown.is_empty() {
            // One that another key opens does not count, such as an envelope of version 1 without its key's name.
            budget.knew(&known);
            return Err(failure.into_error());
        }

        self.counters.dek_cache_misses.add(1);
        let names: Vec<_> = unknown.iter().map(|candidate| candidate.name).collect();
        let mut attempt = self.attempt(&names, budget).await?;
        for candidate in unknown {
            match self
                .try_one(candidate, context, &mut attempt, &mut open)
                .await
            {
                Ok(opened) => {
                    attempt.harmless();
                    return Ok(opened?);
                }
                Err(error) => failure.note(error),
            }
        }
        let error = failure.into_error();
        if error.is_transient() {
            attempt.harmless();
        }
        Err(error)
    }

    /// Unwraps a data key, and opens the payload with it. The outer error tells that the key does not open it.
    ///
    /// A key that the KMS gave once and that does not fit may be the KMS's mistake. Kept, it would make every payload of
    /// that key unreadable for an hour, so the KMS is asked a second time. The same answer proves the key. Where no second
    /// call may be made, the key stays in the cache, and stays in doubt.
    async fn try_one<T>(
        &self,
        candidate: Candidate,
        context: &EncryptionContext,
        attempt: &mut Attempt<'_>,
        open: &mut (impl FnMut(&ExpandedDek) -> Result<T, PayloadError> + Send),
    ) -> Result<Result<T, PayloadError>, Error> {
        let mut doubted = candidate.doubted.clone();
        loop {
            let key = self
                .unwrap(&candidate, context, doubted.as_ref(), attempt)
                .await?;
            match open(&key) {
                Err(PayloadError::NotAuthentic) => {}
                opened => {
                    key.prove();
                    return Ok(opened);
                }
            }
            if key.is_proven() || doubted.is_some() {
                return Err(PayloadError::NotAuthentic.into());
            }
            if !attempt.may_repeat() {
                return Err(PayloadError::NotTried.into());
            }
            doubted = Some(key);
        }
    }

    async fn unwrap(
        &self,
        candidate: &Candidate,
        context: &EncryptionContext,
        doubted: Option<&Arc<ExpandedDek>>,
        attempt: &Attempt<'_>,
    ) -> Result<Arc<ExpandedDek>, Error> {
        let Candidate {
            provider,
            rest,
            wrapped,
            name,
            ..
        } = candidate;
        // Before the cache: what a resting key answers tells nothing of this wrapped key, and is not remembered for it.
        rest.check()?;
        let lost = panicked(&**provider);
        let call = || {
            let (provider, rest) = (provider.clone(), rest.clone());
            let (wrapped, context) = (wrapped.clone(), context.clone());
            let (counters, made) = (self.counters.clone(), attempt.made());
            async move {
                made.one();
                counters.unwraps.add(1);
                let unwrapped = provider.unwrap(&wrapped, &context).await;
                rest.learn(&unwrapped);
                unwrapped.map_err(refusal)
            }
        };
        let unwrapped = match doubted {
            None => self.cache.get_or_unwrap(*name, lost, call).await,
            Some(doubted) => self.cache.ask_again(*name, doubted, lost, call).await,
        };
        unwrapped.map_err(as_told)
    }

    async fn attempt<'b>(
        &self,
        names: &[CacheKey],
        budget: &'b Budget,
    ) -> Result<Attempt<'b>, PayloadError> {
        let attempt = budget.attempt(names).await;
        attempt.inspect_err(|_| self.counters.not_tried.add(1))
    }

    fn find(&self, key: &KeyUri) -> Result<(usize, &OpeningKey), PayloadError> {
        let mut keys = self.keys.iter().enumerate();
        keys.find(|(_, opening)| opening.provider.is_alias_of(key))
            .ok_or_else(|| PayloadError::keys_not_allowed([key]))
    }

    /// What may be unwrapped, in the configured order of the keys.
    fn usable(
        &self,
        recipients: &[Recipient],
        context: &EncryptionContext,
    ) -> Result<Vec<Candidate>, PayloadError> {
        let mut too_large = None;
        let mut usable: Vec<Candidate> = Vec::new();
        for Recipient { key, wrapped } in recipients {
            let Ok((position, opening)) = self.find(key) else {
                continue;
            };
            // A key may have several names. Each key is asked once, so a payload costs no call for each of its names.
            if usable.iter().any(|known| known.position == position) {
                continue;
            }
            let limit = opening.provider.limits().max_wrapped;
            if wrapped.as_bytes().len() > limit {
                too_large = Some(PayloadError::TooLarge {
                    what: "the wrapped data key",
                    limit,
                });
                continue;
            }
            usable.push(Candidate {
                position,
                provider: opening.provider.clone(),
                rest: opening.unwrapping.clone(),
                wrapped: wrapped.clone(),
                name: CacheKey::new(opening.provider.uri(), wrapped, context),
                doubted: None,
            });
        }
        if usable.is_empty() {
            let keys = recipients.iter().map(|recipient| &recipient.key);
            return Err(too_large.unwrap_or_else(|| PayloadError::keys_not_allowed(keys)));
        }
        usable.sort_by_key(|candidate| candidate.position);
        Ok(usable)
    }
}

#[cfg(test)]
mod tests;
