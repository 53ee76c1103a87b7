//! When a data key is renewed, and what happens when that fails.

mod model;
mod threads;

use temporal_kms::{
    Operation,
    faulty::{Answer, FaultyKey},
    support::clock::ManualClock,
};

use super::*;
use crate::{
    Dek,
    dek::{CacheLimits, cache::DekCache, encrypting_keys::EncryptingKeys},
    format::envelope_v2,
    kms::{KeyProvider, ProviderErrorKind},
    stats::Counters,
};

fn wraps(key: &FaultyKey) -> usize {
    key.calls_of(Operation::Wrap)
}

fn unwraps(key: &FaultyKey) -> usize {
    key.calls_of(Operation::Unwrap)
}

struct Fixture {
    active: Arc<ActiveDek>,
    kms: Arc<FaultyKey>,
    clock: Arc<ManualClock>,
    counters: Arc<Counters>,
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn maker<const N: usize>(
    keys: [&Arc<FaultyKey>; N],
    limits: DekLimits,
    clock: &Arc<ManualClock>,
    counters: &Arc<Counters>,
) -> DekMaker {
    let mut keys = keys
        .into_iter()
        .map(|key| key.clone() as Arc<dyn KeyProvider>);
    let keys = EncryptingKeys {
        first: keys.next().unwrap(),
        others: keys.collect(),
    };
    let cache = DekCache::new(&CacheLimits::default(), clock.clone(), counters.clone());
    DekMaker::new(
        &keys,
        limits,
        Arc::new(cache),
        clock.clone(),
        counters.clone(),
    )
    .with_fraction(|| 0.5)
}

fn active(maker: DekMaker) -> Arc<ActiveDek> {
    Arc::new(ActiveDek::new(
        Arc::new(maker),
        EncryptionContext::empty(),
        envelope_v2::metadata,
    ))
}

fn fixture(limits: DekLimits) -> Fixture {
    let (kms, clock) = (FaultyKey::new("a"), Arc::new(ManualClock::new()));
    let counters = Arc::new(Counters::default());
    let maker = maker([&kms], limits, &clock, &counters);
    let active = active(maker);
    Fixture {
        active,
        kms,
        clock,
        counters,
    }
}

impl Fixture {
    async fn key(&self) -> Result<Arc<ActiveKey>, Error> {
        self.active.acquire(1, 100).await
    }

    /// Lets a background renewal run to its end.
    async fn settle(&self) {
        while self.active.renewal.is_running(&()) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_payloads_take_one_wrap() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    for _ in 1..100_000 {
        assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    }
    assert_eq!((wraps(&f.kms), f.counters.snapshot().wraps), (1, 1));
}

#[tokio::test]
async fn callers_that_come_together_share_one_call() {
    let f = fixture(DekLimits::default());
    let keys = futures::future::join_all((0..100).map(|_| f.key())).await;
    assert!(
        keys.iter()
            .all(|key| Arc::ptr_eq(key.as_ref().unwrap(), keys[0].as_ref().unwrap()))
    );
    assert_eq!(wraps(&f.kms), 1);
}

#[tokio::test]
async fn renews_in_the_background_before_the_age_limit() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.advance(minutes(44));
    assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert!(!f.active.renewal.is_running(&()));

    f.clock.advance(minutes(1));
    assert!(
        Arc::ptr_eq(&f.key().await.unwrap(), &first),
        "a caller waited"
    );
    tokio::task::yield_now().await;
    f.settle().await;
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(wraps(&f.kms), 2);
}

#[tokio::test]
async fn a_key_over_its_age_is_replaced_before_anything_is_sealed() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.advance(minutes(120));
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
}

#[tokio::test]
async fn goes_on_without_the_kms_up_to_the_hard_limit() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.kms.fail(ProviderErrorKind::Unavailable);
    f.clock.advance(minutes(90));
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    }
    assert_eq!(wraps(&f.kms), 2, "asked again before the time");
    f.clock.advance(RETRY_AFTER);
    assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(wraps(&f.kms), 3);

    f.clock.advance(minutes(24 * 60));
    assert!(f.key().await.unwrap_err().is_transient());
    f.kms.recover();
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(f.counters.snapshot().dek_renewal_failures, 3);
}

#[tokio::test]
async fn a_kms_that_refuses_ends_the_key_at_its_age_limit() {
    let f = fixture(DekLimits::default());
    f.key().await.unwrap();
    f.kms.fail(ProviderErrorKind::PermissionDenied);
    f.clock.advance(minutes(61));
    for _ in 0..3 {
        let error = f.key().await.unwrap_err();
        let Error::Provider(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), ProviderErrorKind::PermissionDenied);
    }
}

#[tokio::test]
async fn a_key_that_refuses_is_asked_once_a_second_by_a_thousand_callers() {
    let f = fixture(DekLimits::default());
    f.kms.fail(ProviderErrorKind::KeyDisabled);
    for seconds in 1..=3 {
        let together = futures::future::join_all((0..500).map(|_| f.key())).await;
        assert!(together.iter().all(Result::is_err));
        for _ in 0..500 {
            f.key().await.unwrap_err();
        }
        assert_eq!(wraps(&f.kms), seconds);
        f.clock.advance(Duration::from_secs(1));
    }
    f.kms.recover();
    f.key().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_refused_under_one_context_seals_under_another() {
    let (kms, clock) = (FaultyKey::new("a"), Arc::new(ManualClock::new()));
    let maker = Arc::new(maker([&kms], DekLimits::default(), &clock, &Arc::default()));
    let active = |pair: &str| {
        let context = EncryptionContext::new([("for".to_owned(), pair.to_owned())].into()).unwrap();
        Arc::new(ActiveDek::new(
            maker.clone(),
            context,
            envelope_v2::metadata,
        ))
    };
    let (refused, granted) = (active("refused"), active("granted"));
    kms.fail(ProviderErrorKind::PermissionDenied);
    refused.acquire(1, 1).await.unwrap_err();
    kms.recover();
    refused.acquire(1, 1).await.unwrap_err();
    granted.acquire(1, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_overdue_key_goes_on_after_a_second_when_the_kms_hangs() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.advance(minutes(90));
    f.kms.always(Answer::Stalls);
    let start = tokio::time::Instant::now();
    assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(start.elapsed(), PATIENCE);
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    }
    assert_eq!(start.elapsed(), PATIENCE, "a later caller waited");
    assert_eq!(wraps(&f.kms), 2);

    // The renewal goes on without callers, and what it brings is used.
    f.kms.recover();
    f.settle().await;
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(wraps(&f.kms), 2);
}

#[tokio::test]
async fn a_suspended_machine_ages_its_key() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.suspend(Duration::from_hours(8));
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_suspended_while_a_caller_waits_takes_no_key_past_its_hard_limit() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.advance(minutes(90));
    f.kms.always(Answer::Stalls);
    let mut waiting = Box::pin(f.key());
    assert!(futures::poll!(&mut waiting).is_pending());
    f.clock.suspend(Duration::from_hours(24));
    tokio::time::sleep(PATIENCE).await;
    assert!(
        futures::poll!(&mut waiting).is_pending(),
        "the old key is used"
    );
    f.kms.recover();
    assert!(!Arc::ptr_eq(&waiting.await.unwrap(), &first));
}

#[tokio::test]
async fn a_clock_that_is_set_back_lengthens_no_life() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.set_back(Duration::from_hours(1));
    f.clock.advance(minutes(60));
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
}

#[tokio::test]
async fn renewals_vary_by_a_tenth() {
    for (fraction, renews_at) in [
        ((|| 0.0) as fn() -> f64, Duration::from_secs(60 * 46 + 30)),
        (|| 0.5, minutes(45)),
        (|| 1.0, Duration::from_secs(60 * 43 + 30)),
    ] {
        let clock = Arc::new(ManualClock::new());
        let maker = maker(
            [&FaultyKey::new("a")],
            DekLimits::default(),
            &clock,
            &Arc::default(),
        );
        let active = active(maker.with_fraction(fraction));
        active.acquire(1, 1).await.unwrap();
        let current = active.current.load_full().unwrap();
        let difference = current.renew_at.abs_diff(renews_at);
        assert!(difference < Duration::from_millis(1), "{difference:?}");
    }
}

#[tokio::test]
async fn a_fresh_key_is_unwrapped_once_before_it_seals() {
    let f = fixture(DekLimits::default());
    for _ in 0..100 {
        f.key().await.unwrap();
    }
    assert_eq!(unwraps(&f.kms), 1);
    assert_eq!(f.counters.snapshot().verifications, 1);
}

#[tokio::test]
async fn a_fresh_key_that_unwraps_to_another_one_is_not_used() {
    use ProviderErrorKind::{ContextMismatch, Integrity, InvalidCiphertext};
    for answer in [
        Answer::Gives(vec![0; Dek::LEN]),
        Answer::Fails(InvalidCiphertext),
        Answer::Fails(ContextMismatch),
    ] {
        let f = fixture(DekLimits::default());
        f.kms.always_for(&[Operation::Unwrap], answer.clone());
        let Err(Error::Provider(error)) = f.key().await else {
            panic!("{answer:?}: the key is used")
        };
        assert_eq!(error.kind(), Integrity);
        f.kms.recover();
        f.key().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_may_only_wrap_is_asked_again_at_each_renewal() {
    let f = fixture(DekLimits::default());
    f.kms.always_for(
        &[Operation::Unwrap],
        Answer::Fails(ProviderErrorKind::PermissionDenied),
    );
    for _ in 0..3 {
        f.key().await.unwrap();
        f.clock.advance(minutes(61));
    }
    assert_eq!((wraps(&f.kms), unwraps(&f.kms)), (3, 3));
}

#[tokio::test]
async fn a_key_that_cannot_be_verified_now_is_used() {
    let f = fixture(DekLimits::default());
    f.kms.always_for(
        &[Operation::Unwrap],
        Answer::Fails(ProviderErrorKind::Unavailable),
    );
    f.key().await.unwrap();
}

#[tokio::test]
async fn messages_and_bytes_spend_a_key() {
    for limits in [
        DekLimits {
            max_messages: 10,
            ..DekLimits::default()
        },
        DekLimits {
            max_bytes: 1000,
            ..DekLimits::default()
        },
    ] {
        let f = fixture(limits);
        let first = f.key().await.unwrap();
        for _ in 1..10 {
            assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
        }
        assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
        assert_eq!(wraps(&f.kms), 2);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_next_one_a_working_key() {
    let f = fixture(DekLimits::default());
    f.kms.always(Answer::Stalls);
    let mut waiting = Box::pin(f.key());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    f.kms.recover();
    f.key().await.unwrap();
}

#[tokio::test]
async fn every_recipient_wraps_the_same_key_or_there_is_none() {
    let (a, b) = (FaultyKey::new("a"), FaultyKey::new("b"));
    let clock = Arc::new(ManualClock::new());
    let active = active(maker(
        [&a, &b],
        DekLimits::default(),
        &clock,
        &Arc::default(),
    ));
    b.fail(ProviderErrorKind::Throttled);
    assert!(active.acquire(1, 1).await.is_err());
    b.recover();
    let key = active.acquire(1, 1).await.unwrap();
    assert_eq!(key.metadata["kms-key"], b"local://a");
    assert_eq!(key.metadata["kms-key.1"], b"local://b");
    // The fixture wraps in the clear, so this is one data key.
    assert_eq!(
        key.metadata["encrypted-dek"],
        key.metadata["encrypted-dek.1"]
    );
}

#[test]
fn limits_that_cannot_work_are_refused() {
    let base = DekLimits::default;
    assert!(base().check().is_ok());
    for bad in [
        DekLimits {
            max_age: Duration::ZERO,
            renew_before: Duration::ZERO,
            ..base()
        },
        DekLimits {
            renew_before: minutes(60),
            ..base()
        },
        DekLimits {
            hard_max_age: minutes(59),
            ..base()
        },
        DekLimits {
            max_messages: 0,
            ..base()
        },
        DekLimits {
            max_messages: (1 << 32) + 1,
            ..base()
        },
        DekLimits {
            max_bytes: 0,
            ..base()
        },
        DekLimits {
            hard_max_age: Duration::MAX,
            ..base()
        },
        DekLimits {
            max_age: Duration::MAX,
            hard_max_age: Duration::MAX,
            ..base()
        },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}

#[test]
fn cache_limits_that_cannot_work_are_refused() {
    assert!(CacheLimits::default().check().is_ok());
    let limits = |max_keys, ttl| CacheLimits { max_keys, ttl };
    for bad in [
        limits(0, minutes(60)),
        limits(10_000, Duration::ZERO),
        limits(10_000, Duration::MAX),
        limits(usize::MAX, minutes(60)),
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}
