//! What is known of wrapped data keys: the unwrapped key, or that it cannot be unwrapped.

use std::{sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;

use super::{
    cache_key::CacheKey, expanded_dek::ExpandedDek, limits::CacheLimits, refusals::Refusals,
    rest::Worked, single_flight::SingleFlight,
};
use crate::{Dek, Error, stats::Counters};
use temporal_kms::support::clock::{Clock, Moment};

/// Unwrapped data keys for decoding: bounded in number and age, and each unwrapped once, however many callers ask for it
/// at the same time. A key that leaves the cache is erased as soon as its last user is done.
///
/// Wrapped keys that the KMS refused are remembered too, so that the same payload does not cost a call again.
pub(crate) struct DekCache {
    entries: Mutex<Entries>,
    refusals: Refusals,
    unwrapping: SingleFlight<CacheKey, Arc<ExpandedDek>>,
    worked: Arc<Worked>,
    limits: CacheLimits,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
}

struct Entries {
    keys: LruCache<CacheKey, Entry>,
    purged: Moment,
}

struct Entry {
    key: Arc<ExpandedDek>,
    unwrapped: Moment,
}

impl DekCache {
    pub(crate) fn new(
        limits: &CacheLimits,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            entries: Mutex::new(Entries {
                keys: LruCache::unbounded(),
                purged: clock.moment(),
            }),
            refusals: Refusals::new(clock.clone()),
            unwrapping: SingleFlight::new(),
            worked: Arc::new(Worked::new(limits.ttl, clock.clone())),
            limits: limits.clone(),
            clock,
            counters,
        }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<ExpandedDek>> {
        let now = self.clock.moment();
        let mut entries = self.entries.lock();
        entries.purge(now, self.limits.ttl);
        entries
            .keys
            .get(key)
            .filter(|entry| entry.unwrapped.age_at(now) < self.limits.ttl)
            .map(|entry| entry.key.clone())
    }

    pub(crate) fn insert(&self, key: CacheKey, data_key: Arc<ExpandedDek>) {
        let now = self.clock.moment();
        let mut entries = self.entries.lock();
        entries.purge(now, self.limits.ttl);
        entries.keys.push(
            key,
            Entry {
                key: data_key,
                unwrapped: now,
            },
        );
        while entries.keys.len() > self.limits.max_keys {
            entries.keys.pop_lru();
            self.counters.dek_cache_evictions.add(1);
        }
    }

    /// How many data keys are kept now.
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().keys.len()
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().keys.clear();
        self.refusals.clear();
    }

    /// When each key last worked.
    pub(super) fn worked(&self) -> &Arc<Worked> {
        &self.worked
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The data key, from the cache or from `unwrap`, which runs once for all who ask meanwhile. A refusal is remembered.
    ///
    /// `lost` is the answer should `unwrap` panic.
    pub(crate) async fn get_or_unwrap<F>(
        self: &Arc<Self>,
        key: CacheKey,
        lost: Error,
        unwrap: impl FnOnce() -> F,
    ) -> Result<Arc<ExpandedDek>, Error>
    where
        F: Future<Output = Result<Dek, Error>> + Send + 'static,
    {
        self.unwrapping
            .run(key, lost, || {
                let (cache, unwrapping) = (Arc::clone(self), unwrap());
                async move {
                    // It may have come since the caller looked.
                    if let Some(known) = cache.get(&key) {
                        return Ok(known);
                    }
                    if let Some(refusal) = cache.refusals.get(&key) {
                        return Err(refusal);
                    }
                    let unwrapped = unwrapping.await;
                    cache.refusals.learn(key, unwrapped.as_ref().err());
                    let data_key = Arc::new(ExpandedDek::new(unwrapped?));
                    cache.insert(key, data_key.clone());
                    Ok(data_key)
                }
            })
            .await
    }

    /// Asks a second time for a key that did not open a message. The same answer proves the key; another one takes its
    /// place.
    pub(crate) async fn ask_again<F>(
        self: &Arc<Self>,
        key: CacheKey,
        doubted: &Arc<ExpandedDek>,
        lost: Error,
        unwrap: impl FnOnce() -> F,
    ) -> Result<Arc<ExpandedDek>, Error>
    where
        F: Future<Output = Result<Dek, Error>> + Send + 'static,
    {
        self.unwrapping
            .run(key.again(), lost, || {
                let (cache, doubted, unwrapping) =
                    (Arc::clone(self), Arc::clone(doubted), unwrap());
                async move {
                    if let Some(known) = cache.get(&key).filter(|known| known.is_proven()) {
                        return Ok(known);
                    }
                    let dek = unwrapping.await?;
                    let data_key = if doubted.is_same(&dek) {
                        doubted.prove();
                        doubted
                    } else {
                        tracing::warn!(
                            "a key management service gave two answers for one data key"
                        );
                        Arc::new(ExpandedDek::new(dek))
                    };
                    cache.insert(key, data_key.clone());
                    Ok(data_key)
                }
            })
            .await
    }
}

impl Entries {
    /// Drops what has expired, a few times in each lifetime: an entry that nobody asks for again must go too.
    fn purge(&mut self, now: Moment, ttl: Duration) {
        if self.purged.age_at(now) < ttl / 4 {
            return;
        }
        self.purged = now;
        let expired: Vec<CacheKey> = self
            .keys
            .iter()
            .filter(|(_, entry)| entry.unwrapped.age_at(now) >= ttl)
            .map(|(key, _)| *key)
            .collect();
        for key in expired {
            self.keys.pop(&key);
        }
    }
}

#[cfg(test)]
mod tests;
