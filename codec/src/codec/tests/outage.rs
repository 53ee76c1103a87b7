//! A long outage of the key service, in simulated time.

use std::sync::Arc;

use temporal_kms::{CallPolicy, KmsMetrics};

use super::*;
use crate::{CacheLimits, DekLimits};

use Answer::{Fails, FailsAfter, Panics, Stalls, Takes};
use ProviderErrorKind::{Integrity, Throttled, Unavailable};

const OUTAGE: usize = 600;

/// A key service with the usual limits, retries and circuit breaker around it.
fn surrounded(kms: &Arc<FaultyKey>) -> Arc<dyn KeyProvider> {
    let metrics = Arc::<KmsMetrics>::default();
    CallPolicy::default()
        .decorate(kms.clone(), &metrics)
        .unwrap()
}

/// Encodes, and decodes what is known, each second for ten minutes. Returns the calls of the key service meanwhile.
async fn ten_minutes(codec: &Codec, kms: &FaultyKey, known: &Payload) -> usize {
    let before = kms.calls();
    for second in 0..OUTAGE {
        tokio::time::advance(Duration::from_secs(1)).await;
        codec.encode(vec![payload("\"new\"")]).await.unwrap();
        let opened = codec.decode(vec![known.clone()]).await.unwrap();
        assert_eq!(opened, [payload("\"known\"")], "second {second}");
    }
    kms.calls() - before
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_the_key_service_fail_nothing_that_is_known() {
    for answer in [
        Fails(Unavailable),
        Fails(Throttled),
        Fails(Integrity),
        FailsAfter(Duration::from_secs(2), Unavailable),
        Takes(Duration::from_secs(30)),
        Stalls,
        Panics,
    ] {
        let (_folder, keyring) = keyring();
        let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
        let codec = builder("n")
            .encrypt_with(surrounded(&kms))
            .dek_limits(DekLimits::default())
            // The known payload leaves the cache after the outage.
            .cache_limits(CacheLimits::default().with_ttl(Duration::from_hours(2)))
            .build()
            .unwrap();
        let known = seal(&codec, "\"known\"").await;
        // The data key reaches its age during the outage.
        tokio::time::advance(Duration::from_mins(55)).await;
        kms.always(answer.clone());
        let calls = ten_minutes(&codec, &kms, &known).await;
        assert!(calls > 10, "{answer:?}: {calls} calls");
        assert!(calls <= OUTAGE, "{answer:?}: {calls} calls in ten minutes");
        assert_eq!(codec.stats().dek_renewals, 1, "{answer:?}");

        // It goes on by itself.
        kms.recover();
        let mut seconds = 0;
        while codec.stats().dek_renewals == 1 {
            seconds += 1;
            assert!(seconds < 60, "{answer:?}: no new data key");
            tokio::time::advance(Duration::from_secs(1)).await;
            codec.encode(vec![payload("\"new\"")]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(
            codec.decode(vec![known]).await.unwrap(),
            [payload("\"known\"")]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_service_that_flaps_for_ten_minutes_fails_nothing() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let codec = builder("n")
        .encrypt_with(surrounded(&kms))
        .dek_limits(DekLimits::default().with_max_messages(5))
        .build()
        .unwrap();
    // Two calls of three fail, so that each call needs its retries.
    let calls = std::sync::atomic::AtomicUsize::new(0);
    kms.script(move |_| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (number % 3 != 2).then_some(Fails(Unavailable))
    });
    let known = seal(&codec, "\"known\"").await;
    ten_minutes(&codec, &kms, &known).await;
    assert!(codec.stats().dek_renewals > 100, "{:?}", codec.stats());
}
