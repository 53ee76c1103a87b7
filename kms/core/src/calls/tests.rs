//! The call policy, with a key that fails on demand.

use std::time::Duration;

use super::{policy::LONGEST, *};
use crate::{
    ProviderErrorKind,
    faulty::{Answer, FaultyKey},
};

struct Fixture {
    faulty: Arc<FaultyKey>,
    key: Arc<dyn KeyProvider>,
    metrics: Arc<KmsMetrics>,
}

fn fixture(policy: &CallPolicy, plan: impl IntoIterator<Item = Answer>) -> Fixture {
    let (uri, metrics) = ("local://faulty".parse().unwrap(), Arc::default());
    let faulty = FaultyKey::with_limits(uri, KeyLimits::default().with_max_plaintext(7));
    faulty.next(plan);
    let key = policy.decorate(faulty.clone(), &metrics).unwrap();
    Fixture {
        faulty,
        key,
        metrics,
    }
}

impl Fixture {
    fn numbers(&self) -> OperationMetrics {
        let snapshot = self.metrics.snapshot();
        let [(key, Operation::Encrypt, numbers)] = snapshot.as_slice() else {
            panic!("{snapshot:?}")
        };
        assert_eq!(key, self.key.uri());
        numbers.clone()
    }

    async fn fails(&self) -> ProviderErrorKind {
        self.key.encrypt(b"x").await.unwrap_err().kind()
    }
}

use Answer::{Fails, Stalls, Takes};
use ProviderErrorKind::{
    DeadlineExceeded, Integrity, InvalidCiphertext, PermissionDenied, Throttled, Unavailable,
};

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_and_counted() {
    let f = fixture(
        &CallPolicy::default(),
        [Throttled, Unavailable, Integrity].map(Fails),
    );
    assert_eq!(f.key.encrypt(b"x").await.unwrap(), b"x");
    assert_eq!(f.faulty.calls(), 4);
    let numbers = f.numbers();
    assert_eq!(
        (numbers.calls, numbers.retries, numbers.failures.len()),
        (1, 3, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_the_last_failure() {
    let f = fixture(&CallPolicy::default(), vec![Fails(Throttled); 9]);
    assert_eq!(f.fails().await, Throttled);
    assert_eq!(f.faulty.calls(), 4);
    assert_eq!(f.numbers().failures, [(Throttled, 1)].into());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated() {
    for kind in [PermissionDenied, InvalidCiphertext] {
        let f = fixture(&CallPolicy::default(), [Fails(kind)]);
        assert_eq!(f.fails().await, kind);
        assert_eq!(f.faulty.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_attempt_is_given_up_and_repeated() {
    let f = fixture(&CallPolicy::default(), [Stalls]);
    let start = tokio::time::Instant::now();
    assert!(f.key.encrypt(b"x").await.is_ok());
    assert_eq!(f.faulty.calls(), 2);
    let policy = CallPolicy::default();
    assert!(start.elapsed() >= policy.attempt_timeout);
    assert!(start.elapsed() <= policy.attempt_timeout + policy.base_delay);
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_ends_everything() {
    let f = fixture(
        &CallPolicy {
            max_attempts: 100,
            ..CallPolicy::default()
        },
        vec![Stalls; 100],
    );
    let start = tokio::time::Instant::now();
    assert_eq!(f.fails().await, DeadlineExceeded);
    assert_eq!(start.elapsed(), CallPolicy::default().total_timeout);
}

#[tokio::test(start_paused = true)]
async fn calls_over_the_limit_wait_their_turn() {
    let policy = CallPolicy {
        max_concurrent: 3,
        ..CallPolicy::default()
    };
    let f = fixture(&policy, vec![Takes(Duration::from_millis(10)); 20]);
    let answers = futures::future::join_all((0..20).map(|_| f.key.encrypt(b"x"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(f.faulty.most_concurrent(), 3);
    assert_eq!(f.numbers().calls, 20);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_probes_and_closes() {
    let policy = CallPolicy {
        max_attempts: 1,
        breaker_failures: 3,
        ..CallPolicy::default()
    };
    let f = fixture(&policy, vec![Fails(Unavailable); 4]);
    for _ in 0..3 {
        assert_eq!(f.fails().await, Unavailable);
    }
    for _ in 0..10 {
        assert!(f.key.encrypt(b"x").await.unwrap_err().is_transient());
    }
    assert_eq!(f.faulty.calls(), 3, "called while it was open");

    // The first probe fails, and it stays open.
    tokio::time::advance(policy.breaker_pause).await;
    assert_eq!(f.fails().await, Unavailable);
    assert_eq!(f.fails().await, Unavailable);
    assert_eq!(f.faulty.calls(), 4);

    // The next one succeeds, and everything passes.
    tokio::time::advance(policy.breaker_pause).await;
    for _ in 0..5 {
        assert!(f.key.encrypt(b"x").await.is_ok());
    }
    assert_eq!(f.faulty.calls(), 9);
}

#[tokio::test(start_paused = true)]
async fn only_one_probe_runs_and_one_that_is_given_up_blocks_nobody() {
    let policy = CallPolicy {
        max_attempts: 1,
        breaker_failures: 1,
        ..CallPolicy::default()
    };
    let f = fixture(&policy, [Fails(Unavailable), Stalls]);
    assert_eq!(f.fails().await, Unavailable);
    tokio::time::advance(policy.breaker_pause).await;
    let mut probe = f.key.encrypt(b"x");
    assert!(futures::poll!(&mut probe).is_pending());
    assert_eq!(f.fails().await, Unavailable);
    assert_eq!(f.faulty.calls(), 2, "a second call beside the probe");
    drop(probe);
    tokio::time::advance(policy.breaker_pause).await;
    assert!(f.key.encrypt(b"x").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_does_not_open_the_breaker() {
    let policy = CallPolicy {
        breaker_failures: 2,
        ..CallPolicy::default()
    };
    let f = fixture(&policy, vec![Fails(PermissionDenied); 20]);
    for _ in 0..20 {
        assert_eq!(f.fails().await, PermissionDenied);
    }
    assert_eq!(f.faulty.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn every_operation_passes_and_is_counted_under_its_name() {
    let f = fixture(&CallPolicy::default(), []);
    let context = EncryptionContext::empty();
    let (dek, wrapped) = f.key.generate_dek(&context).await.unwrap();
    assert_eq!(f.key.wrap(&dek, &context).await.unwrap(), wrapped);
    assert_eq!(
        f.key.unwrap(&wrapped, &context).await.unwrap().expose(),
        dek.expose()
    );
    f.key.encrypt(b"x").await.unwrap();
    f.key.decrypt(b"x").await.unwrap();
    f.key.check_usable().await.unwrap();
    assert_eq!(f.key.limits().max_plaintext, 7);
    let counted: Vec<_> = f
        .metrics
        .snapshot()
        .into_iter()
        .map(|(_, operation, numbers)| (operation.as_str(), numbers.calls))
        .collect();
    assert_eq!(
        counted,
        [
            ("wrap", 2),
            ("unwrap", 1),
            ("encrypt", 1),
            ("decrypt", 1),
            ("describe", 1)
        ]
    );
}

/// The usual outage: the service accepts connections and never answers.
#[tokio::test(start_paused = true)]
async fn the_breaker_opens_for_a_service_that_never_answers() {
    let policy = CallPolicy::default();
    let f = fixture(&policy, vec![Stalls; 100]);
    for _ in 0..policy.breaker_failures {
        assert_eq!(f.fails().await, DeadlineExceeded);
    }
    let (calls, start) = (f.faulty.calls(), tokio::time::Instant::now());
    assert_eq!(f.fails().await, Unavailable);
    assert_eq!(start.elapsed(), Duration::ZERO, "the sixth call waited");
    assert_eq!(f.faulty.calls(), calls, "the sixth call was made");
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_on_a_service_that_hangs_open_the_breaker_too() {
    let policy = CallPolicy::default();
    let f = fixture(&policy, vec![Stalls; 200]);
    let give_up_after = |time| tokio::time::timeout(time, f.key.encrypt(b"x"));
    for _ in 0..100 {
        assert!(
            give_up_after(policy.attempt_timeout / 2).await.is_err(),
            "a caller that lost interest counted"
        );
    }
    for _ in 0..policy.breaker_failures {
        assert!(give_up_after(policy.attempt_timeout).await.is_err());
    }
    assert_eq!(f.fails().await, Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_overflow_nothing() {
    let policy = CallPolicy {
        attempt_timeout: LONGEST,
        total_timeout: LONGEST,
        base_delay: LONGEST,
        max_delay: LONGEST,
        breaker_failures: 1,
        breaker_pause: LONGEST,
        max_attempts: u32::MAX,
        max_concurrent: usize::MAX,
    };
    let f = fixture(&policy, vec![Fails(Unavailable); 3]);
    // Both waits may be near zero, and then the call succeeds.
    let _ = f.key.encrypt(b"x").await;
    assert!(f.faulty.calls() >= 1);
}

#[test]
fn policies_that_cannot_work_are_refused() {
    assert!(CallPolicy::default().check().is_ok());
    let base = CallPolicy::default;
    for policy in [
        CallPolicy {
            max_attempts: 0,
            ..base()
        },
        CallPolicy {
            max_concurrent: 0,
            ..base()
        },
        CallPolicy {
            attempt_timeout: Duration::ZERO,
            ..base()
        },
        CallPolicy {
            attempt_timeout: base().total_timeout + Duration::from_secs(1),
            ..base()
        },
        CallPolicy {
            total_timeout: Duration::MAX,
            ..base()
        },
        CallPolicy {
            breaker_pause: Duration::MAX,
            ..base()
        },
        CallPolicy {
            max_delay: Duration::MAX,
            ..base()
        },
    ] {
        assert!(policy.check().is_err(), "{policy:?}");
        let key = FaultyKey::new("faulty");
        assert!(
            policy.decorate(key, &Arc::default()).is_err(),
            "decorated with {policy:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_says_nothing_of_the_service() {
    let policy = CallPolicy {
        attempt_timeout: Duration::from_secs(1),
        total_timeout: Duration::from_secs(1),
        max_concurrent: 1,
        breaker_failures: 2,
        ..CallPolicy::default()
    };
    let f = fixture(&policy, vec![Takes(Duration::from_millis(900)); 100]);
    let answers = futures::future::join_all((0..20).map(|_| f.key.encrypt(b"x"))).await;
    let late = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(late, 19);
    f.key.encrypt(b"x").await.unwrap();

    // Neither do callers that give up while they wait.
    let waiting = (0..20).map(|_| {
        let limit = Duration::from_millis(999);
        tokio::time::timeout(limit, f.key.encrypt(b"x"))
    });
    futures::future::join_all(waiting).await;
    f.key.encrypt(b"x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_counted() {
    let f = fixture(&CallPolicy::default(), [Stalls]);
    let limit = Duration::from_millis(70);
    assert!(
        tokio::time::timeout(limit, f.key.encrypt(b"x"))
            .await
            .is_err()
    );
    let numbers = f.numbers();
    assert_eq!(numbers.calls, 1);
    assert_eq!((numbers.failures.len(), numbers.given_up), (0, 1));
    assert_eq!(numbers.total_time, limit);
    for bucket in &numbers.latency {
        let is_within = bucket.at_most.is_none_or(|at_most| limit <= at_most);
        assert_eq!(bucket.calls, u64::from(is_within), "{bucket:?}");
    }
    assert!(numbers.latency.is_sorted_by_key(|bucket| bucket.calls));
    assert_eq!(numbers.latency.last().unwrap().at_most, None);
}

/// Keeps its notes slowly, or not at all.
#[derive(Debug)]
struct Keeper {
    permits: bool,
    keeps: bool,
}

impl CallObserver for Keeper {
    fn permits(&self, _: Operation, key: &KeyUri) -> Result<(), ProviderError> {
        self.permits
            .then_some(())
            .ok_or_else(|| ProviderError::new(Unavailable, key))
    }

    fn ended(&self, call: &EndedCall<'_>) -> BoxFuture<'static, Result<(), ProviderError>> {
        let kept = self
            .keeps
            .then_some(())
            .ok_or_else(|| ProviderError::new(Unavailable, call.key));
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            kept
        })
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_those_of_the_service_and_not_of_the_observer() {
    for (permits, calls) in [(false, 0), (true, 1)] {
        let (faulty, metrics) = (FaultyKey::new("faulty"), Arc::<KmsMetrics>::default());
        let keeps = false;
        let key = CallLayer::new(&CallPolicy::default(), &metrics)
            .with_observer(Some(Arc::new(Keeper { permits, keeps })))
            .key(faulty.clone())
            .unwrap();
        assert_eq!(
            key.encrypt(b"x").await.unwrap_err().kind(),
            Unavailable,
            "the caller gets no answer without a note"
        );
        assert_eq!(faulty.calls(), calls);
        let counted = metrics.snapshot();
        assert_eq!(counted.len(), calls);
        for (_, _, numbers) in counted {
            assert_eq!(numbers.calls, 1);
            assert!(numbers.failures.is_empty(), "{numbers:?}");
            assert_eq!(numbers.given_up, 0);
            assert_eq!(numbers.total_time, Duration::ZERO);
        }
    }
}
