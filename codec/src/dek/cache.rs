use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{CacheLimits, DataKey, WrappedDek, coalesce::Coalesce};
use crate::{EncryptionContext, Error, KeyUri, clock::Clock};

/// Stands for one wrapped key under one context: SHA-256 over both and the key that wrapped it, each with its length
/// before it. It holds no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    pub(crate) fn new(key: &KeyUri, wrapped: &WrappedDek, context: &EncryptionContext) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.kms().scheme());
        for part in [
            key.resource().as_bytes(),
            wrapped.as_bytes(),
            context.as_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Unwrapped data keys for decoding: bounded in number and age, and each unwrapped once, however many ask for it at the
/// same time. A key that leaves the cache is erased as soon as its last user is done.
pub(crate) struct DekCache {
    entries: Mutex<Entries>,
    unwrapping: Coalesce<CacheKey, Arc<DataKey>>,
    ttl: Duration,
    clock: Arc<dyn Clock>,
}

struct Entries {
    keys: LruCache<CacheKey, Entry>,
    next_purge: Instant,
}

struct Entry {
    key: Arc<DataKey>,
    expires: Instant,
}

impl DekCache {
    pub(crate) fn new(limits: &CacheLimits, clock: Arc<dyn Clock>) -> Self {
        let max_keys = NonZeroUsize::new(limits.max_keys).unwrap_or(NonZeroUsize::MIN);
        Self {
            entries: Mutex::new(Entries {
                keys: LruCache::new(max_keys),
                next_purge: clock.now() + limits.ttl,
            }),
            unwrapping: Coalesce::new(),
            ttl: limits.ttl,
            clock,
        }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<DataKey>> {
        let now = self.clock.now();
        let mut entries = self.entries.lock();
        entries.purge(now, self.ttl);
        entries
            .keys
            .get(key)
            .filter(|entry| now < entry.expires)
            .map(|entry| entry.key.clone())
    }

    pub(crate) fn insert(&self, key: CacheKey, data_key: Arc<DataKey>) {
        let now = self.clock.now();
        let mut entries = self.entries.lock();
        entries.purge(now, self.ttl);
        entries.keys.push(
            key,
            Entry {
                key: data_key,
                expires: now + self.ttl,
            },
        );
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().keys.clear();
    }

    /// The data key, from the cache or from `unwrap`, which runs once for all who ask meanwhile.
    pub(crate) async fn get_or_unwrap<F>(
        self: &Arc<Self>,
        key: CacheKey,
        unwrap: impl FnOnce() -> F,
    ) -> Result<Arc<DataKey>, Error>
    where
        F: Future<Output = Result<DataKey, Error>> + Send + 'static,
    {
        self.unwrapping
            .run(key, || {
                let (cache, unwrapping) = (Arc::clone(self), unwrap());
                async move {
                    // It may have come since the caller looked.
                    if let Some(known) = cache.get(&key) {
                        return Ok(known);
                    }
                    let data_key = Arc::new(unwrapping.await?);
                    cache.insert(key, data_key.clone());
                    Ok(data_key)
                }
            })
            .await
    }
}

impl Entries {
    /// Drops what has expired, a few times in each lifetime: an entry that nobody asks for again must go too.
    fn purge(&mut self, now: Instant, ttl: Duration) {
        if now < self.next_purge {
            return;
        }
        self.next_purge = now + ttl / 4;
        let expired: Vec<CacheKey> = self
            .keys
            .iter()
            .filter(|(_, entry)| entry.expires <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in expired {
            self.keys.pop(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::{clock::tests::ManualClock, dek::Dek};

    fn cache(max_keys: usize) -> (Arc<DekCache>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        let limits = CacheLimits {
            max_keys,
            ttl: Duration::from_mins(1),
        };
        (Arc::new(DekCache::new(&limits, clock.clone())), clock)
    }

    fn key(n: u8) -> CacheKey {
        CacheKey([n; 32])
    }

    fn data_key() -> Arc<DataKey> {
        Arc::new(DataKey::new(Dek::new([1; 32])))
    }

    #[test]
    fn cache_keys_differ_in_every_part() {
        let make = |uri: &str, wrapped: &[u8], context: &[u8]| {
            CacheKey::new(
                &uri.parse().unwrap(),
                &WrappedDek::new(wrapped.to_vec()),
                &EncryptionContext::parse(context).unwrap(),
            )
        };
        let base = make("local://a", b"w", br#"{"namespace":"n"}"#);
        assert!(base == make("local://a", b"w", br#"{"namespace":"n"}"#));
        assert!(base != make("local://b", b"w", br#"{"namespace":"n"}"#));
        assert!(base != make("local://a", b"v", br#"{"namespace":"n"}"#));
        assert!(base != make("local://a", b"w", br#"{"namespace":"m"}"#));
        assert!(base != make("local://a", b"w", b""));
        assert!(
            make("local://ab", b"c", b"") != make("local://a", b"bc", b""),
            "parts run together"
        );
    }

    #[test]
    fn the_least_recently_used_key_makes_room_and_is_dropped() {
        let (cache, _) = cache(2);
        let first = data_key();
        let gone = Arc::downgrade(&first);
        cache.insert(key(1), first);
        cache.insert(key(2), data_key());
        assert!(cache.get(&key(1)).is_some());
        cache.insert(key(3), data_key());
        assert!(cache.get(&key(2)).is_none());
        cache.insert(key(4), data_key());
        assert!(gone.upgrade().is_none(), "an evicted key is still alive");
    }

    #[test]
    fn a_key_expires_and_is_dropped_without_being_asked_for() {
        let (cache, clock) = cache(8);
        let first = data_key();
        let gone = Arc::downgrade(&first);
        cache.insert(key(1), first);
        clock.advance(Duration::from_secs(59));
        assert!(cache.get(&key(1)).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(cache.get(&key(2)).is_none());
        assert!(gone.upgrade().is_none(), "an expired key is still alive");
        assert!(cache.get(&key(1)).is_none());
    }

    #[tokio::test]
    async fn concurrent_misses_unwrap_once_and_a_failure_is_not_kept() {
        let (cache, _) = cache(8);
        let calls = Arc::new(AtomicUsize::new(0));
        let unwrap = |fails: bool| {
            let calls = calls.clone();
            async move {
                tokio::task::yield_now().await;
                calls.fetch_add(1, SeqCst);
                if fails {
                    Err(crate::PayloadError::NotAuthentic.into())
                } else {
                    Ok(DataKey::new(Dek::new([2; 32])))
                }
            }
        };
        assert!(cache.get_or_unwrap(key(1), || unwrap(true)).await.is_err());
        let answers = futures::future::join_all(
            (0..50).map(|_| cache.get_or_unwrap(key(1), || unwrap(false))),
        )
        .await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(calls.load(SeqCst), 2);
        assert!(cache.get(&key(1)).is_some());
    }
}
