use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::*;
use crate::{
    Dek, KeyUri, WrappedDek,
    clock::tests::ManualClock,
    dek::CacheLimits,
    format::envelope_v2,
    kms::{KeyDescription, KeyProvider, Protection, ProviderErrorKind},
};

/// A key that counts what it is asked for and fails when told to.
#[derive(Debug)]
struct CountingKey {
    uri: KeyUri,
    wraps: AtomicUsize,
    failure: Mutex<Option<ProviderErrorKind>>,
    stalled: AtomicBool,
}

impl CountingKey {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            uri: format!("local://{name}").parse().unwrap(),
            wraps: AtomicUsize::new(0),
            failure: Mutex::new(None),
            stalled: AtomicBool::new(false),
        })
    }

    fn fail(&self, kind: impl Into<Option<ProviderErrorKind>>) {
        *self.failure.lock() = kind.into();
    }

    fn wraps(&self) -> usize {
        self.wraps.load(SeqCst)
    }
}

#[async_trait]
impl KeyProvider for CountingKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn wrap(&self, dek: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        self.wraps.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        while self.stalled.load(SeqCst) {
            tokio::task::yield_now().await;
        }
        match *self.failure.lock() {
            Some(kind) => Err(ProviderError::new(kind, &self.uri)),
            None => Ok(WrappedDek::new(dek.expose().to_vec())),
        }
    }

    async fn unwrap(&self, _: &WrappedDek, _: &EncryptionContext) -> Result<Dek, ProviderError> {
        unreachable!("sealing unwraps nothing")
    }

    fn max_plaintext(&self) -> usize {
        0
    }

    async fn encrypt(&self, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        unreachable!("no direct mode here")
    }

    async fn decrypt(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        unreachable!("no direct mode here")
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        Ok(KeyDescription::new(
            self.uri.clone(),
            "1",
            Protection::Software,
        ))
    }
}

struct Fixture {
    live: Arc<LiveDek>,
    kms: Arc<CountingKey>,
    clock: Arc<ManualClock>,
    counters: Arc<Counters>,
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn fixture(limits: DekLimits) -> Fixture {
    let (kms, clock) = (CountingKey::new("a"), Arc::new(ManualClock::new()));
    let counters = Arc::new(Counters::default());
    let cache = Arc::new(DekCache::new(&CacheLimits::default(), clock.clone()));
    let live = Arc::new(LiveDek::new(
        EncryptingKeys {
            first: kms.clone(),
            others: vec![],
        },
        EncryptionContext::empty(),
        envelope_v2::metadata,
        limits,
        cache,
        clock.clone(),
        counters.clone(),
    ));
    Fixture {
        live,
        kms,
        clock,
        counters,
    }
}

impl Fixture {
    async fn key(&self) -> Result<Arc<SealingKey>, Error> {
        self.live.acquire(1, 100).await
    }

    /// Lets a background renewal run to its end.
    async fn settle(&self) {
        while self.live.renewal.is_running(&()) {
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
    assert_eq!((f.kms.wraps(), f.counters.snapshot().wraps), (1, 1));
}

#[tokio::test]
async fn callers_that_come_together_share_one_call() {
    let f = fixture(DekLimits::default());
    let keys = future::join_all((0..100).map(|_| f.key())).await;
    assert!(
        keys.iter()
            .all(|key| Arc::ptr_eq(key.as_ref().unwrap(), keys[0].as_ref().unwrap()))
    );
    assert_eq!(f.kms.wraps(), 1);
}

#[tokio::test]
async fn renews_in_the_background_before_the_age_limit() {
    let f = fixture(DekLimits::default());
    let first = f.key().await.unwrap();
    f.clock.advance(minutes(44));
    assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert!(!f.live.renewal.is_running(&()));

    f.clock.advance(minutes(1));
    assert!(
        Arc::ptr_eq(&f.key().await.unwrap(), &first),
        "a caller waited"
    );
    tokio::task::yield_now().await;
    f.settle().await;
    assert!(!Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(f.kms.wraps(), 2);
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
    assert_eq!(f.kms.wraps(), 2, "asked again before the time");
    f.clock.advance(RETRY_AFTER);
    assert!(Arc::ptr_eq(&f.key().await.unwrap(), &first));
    assert_eq!(f.kms.wraps(), 3);

    f.clock.advance(minutes(24 * 60));
    assert!(f.key().await.unwrap_err().is_transient());
    f.kms.fail(None);
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
        assert_eq!(f.kms.wraps(), 2);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_next_one_a_working_key() {
    let f = fixture(DekLimits::default());
    f.kms.stalled.store(true, SeqCst);
    let mut waiting = Box::pin(f.key());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    f.kms.stalled.store(false, SeqCst);
    f.key().await.unwrap();
}

#[tokio::test]
async fn every_recipient_wraps_the_same_key_or_there_is_none() {
    let (a, b) = (CountingKey::new("a"), CountingKey::new("b"));
    let clock = Arc::new(ManualClock::new());
    let counters = Arc::new(Counters::default());
    let cache = DekCache::new(&CacheLimits::default(), clock.clone());
    let live = Arc::new(LiveDek::new(
        EncryptingKeys {
            first: a.clone(),
            others: vec![b.clone()],
        },
        EncryptionContext::empty(),
        envelope_v2::metadata,
        DekLimits::default(),
        Arc::new(cache),
        clock,
        counters,
    ));
    b.fail(ProviderErrorKind::Throttled);
    assert!(live.acquire(1, 1).await.is_err());
    b.fail(None);
    let key = live.acquire(1, 1).await.unwrap();
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
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}
