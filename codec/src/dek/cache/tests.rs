//! The cache of unwrapped data keys.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

mod model;

use super::*;
use temporal_kms::support::clock::ManualClock;

impl DekCache {
    /// Whether a first or a second call for this data key is under way.
    pub(in crate::dek) fn is_asking(&self, key: &CacheKey) -> bool {
        self.unwrapping.is_running(key) || self.unwrapping.is_running(&key.again())
    }

    /// Whether no call is under way.
    pub(in crate::dek) fn is_idle(&self) -> bool {
        self.unwrapping.is_idle()
    }
}

fn cache(max_keys: usize) -> (Arc<DekCache>, Arc<ManualClock>) {
    with_limits(&CacheLimits {
        max_keys,
        ttl: Duration::from_mins(1),
    })
}

fn with_limits(limits: &CacheLimits) -> (Arc<DekCache>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let cache = DekCache::new(limits, clock.clone(), Arc::default());
    (Arc::new(cache), clock)
}

fn key(n: u16) -> CacheKey {
    CacheKey::direct(&"local://k".parse().unwrap(), &n.to_be_bytes())
}

fn data_key() -> Arc<ExpandedDek> {
    Arc::new(ExpandedDek::new(Dek::new([1; 32])))
}

fn lost() -> Error {
    crate::PayloadError::NotTried.into()
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
    assert_eq!(cache.counters.snapshot().dek_cache_evictions, 2);
}

#[test]
fn ten_thousand_keys_in_turn_are_all_known() {
    let (cache, _) = with_limits(&CacheLimits::default());
    for n in 0..10_000 {
        cache.insert(key(n), data_key());
    }
    for _ in 0..2 {
        assert!((0..10_000).all(|n| cache.get(&key(n)).is_some()));
    }
    assert_eq!(cache.counters.snapshot().dek_cache_evictions, 0);
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
    assert!(cache.get(&key(1)).is_none(), "an expired key is used");
    clock.advance(Duration::from_secs(15));
    assert!(cache.get(&key(2)).is_none());
    assert!(gone.upgrade().is_none(), "an expired key is still alive");
}

#[test]
fn a_suspended_machine_ages_its_keys() {
    let (cache, clock) = cache(8);
    cache.insert(key(1), data_key());
    clock.suspend(Duration::from_hours(8));
    assert!(cache.get(&key(1)).is_none());
}

#[test]
fn a_clock_that_is_set_back_keeps_no_key_longer() {
    let (cache, clock) = cache(8);
    cache.insert(key(1), data_key());
    clock.set_back(Duration::from_hours(1));
    clock.advance(Duration::from_mins(1));
    assert!(cache.get(&key(1)).is_none());
}

#[test]
fn the_longest_time_overflows_nothing() {
    let (cache, clock) = with_limits(&CacheLimits {
        max_keys: usize::MAX,
        ttl: Duration::MAX,
    });
    cache.insert(key(1), data_key());
    clock.advance(Duration::from_hours(1000));
    assert!(cache.get(&key(1)).is_some());
}

#[tokio::test]
async fn concurrent_misses_unwrap_once() {
    let (cache, _) = cache(8);
    let calls = Arc::new(AtomicUsize::new(0));
    let unwrap = || {
        let calls = calls.clone();
        async move {
            tokio::task::yield_now().await;
            calls.fetch_add(1, SeqCst);
            Ok(Dek::new([2; 32]))
        }
    };
    let answers =
        futures::future::join_all((0..50).map(|_| cache.get_or_unwrap(key(1), lost(), unwrap)))
            .await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(calls.load(SeqCst), 1);
    assert!(cache.get(&key(1)).is_some());
}

#[tokio::test]
async fn a_second_answer_proves_the_key_or_takes_its_place() {
    let (cache, _) = cache(8);
    let first = data_key();
    cache.insert(key(1), first.clone());
    let same = async || Ok(Dek::new([1; 32]));
    let answer = cache.ask_again(key(1), &first, lost(), same).await.unwrap();
    assert!(Arc::ptr_eq(&answer, &first) && first.is_proven());

    let other = async || Ok(Dek::new([2; 32]));
    let wrong = data_key();
    cache.insert(key(2), wrong.clone());
    let answer = cache
        .ask_again(key(2), &wrong, lost(), other)
        .await
        .unwrap();
    assert!(answer.is_same(&Dek::new([2; 32])) && !answer.is_proven());
    assert!(Arc::ptr_eq(&cache.get(&key(2)).unwrap(), &answer));
}
