//! Many threads at once. Real threads meet in an order of their own, but what each of them does follows from its seed.
//!
//! `shuttle` cannot choose the order here: what the threads share is inside of `futures`, `arc_swap` and tokio, which do
//! not use its locks and atomics.

use proptest::{
    prelude::RngExt as _,
    test_runner::{RngAlgorithm, TestRng},
};

use super::*;

const THREADS: usize = 4;
const TASKS: u8 = 16;
const CALLS: usize = 1500;

const LIMITS: DekLimits = DekLimits {
    max_age: Duration::from_mins(1),
    renew_before: Duration::from_secs(15),
    hard_max_age: Duration::from_hours(24),
    max_messages: 100,
    max_bytes: u64::MAX,
};

fn random(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

/// A key whose wrapped data keys are numbers that grow. Some calls fail, and some panic.
fn numbering() -> Arc<FaultyKey> {
    let kms = FaultyKey::new("a");
    // A process that may only wrap uses its key without comparing it.
    kms.always_for(
        &[Operation::Unwrap],
        Answer::Fails(ProviderErrorKind::PermissionDenied),
    );
    let next = AtomicU64::new(0);
    kms.script(move |call| {
        if call.operation != Operation::Wrap {
            return None;
        }
        let number = next.fetch_add(1, Relaxed);
        Some(match number % 7 {
            3 => Answer::Fails(ProviderErrorKind::Unavailable),
            5 => Answer::Panics,
            _ => Answer::Gives(number.to_be_bytes().to_vec()),
        })
    });
    kms
}

fn number(key: &ActiveKey) -> u64 {
    let wrapped = key.recipients[0].wrapped.as_bytes();
    u64::from_be_bytes(wrapped.try_into().unwrap())
}

/// Calls as the seed says, and returns the calls that failed. A key that is older than one before is a second live key.
async fn calls(active: Arc<ActiveDek>, clock: Arc<ManualClock>, seed: u8) -> usize {
    let mut random = random(seed);
    let (mut newest, mut failed) = (0, 0);
    for _ in 0..CALLS {
        match random.random_range(0..20) {
            0 => clock.advance(Duration::from_secs(random.random_range(1..30))),
            1 => clock.suspend(Duration::from_secs(random.random_range(1..90))),
            2 => clock.set_back(Duration::from_secs(random.random_range(1..90))),
            3 => tokio::task::yield_now().await,
            4 => {
                // It gives up, in most cases while its call is under way.
                let mut call = Box::pin(active.acquire(1, 1));
                let _ = futures::poll!(&mut call);
            }
            _ => match active.acquire(random.random_range(1..10), 1).await {
                Ok(key) => {
                    assert!(number(&key) >= newest, "an older key is back");
                    newest = number(&key);
                }
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    failed += 1;
                }
            },
        }
    }
    failed
}

#[test]
fn many_threads_have_one_key_and_none_waits_for_ever() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .unwrap();
    let (kms, clock) = (numbering(), Arc::new(ManualClock::new()));
    let active = active(maker([&kms], LIMITS, &clock, &Arc::default()));
    let failed: usize = runtime.block_on(async {
        let tasks = (0..TASKS).map(|seed| tokio::spawn(calls(active.clone(), clock.clone(), seed)));
        // Only a caller that is never woken takes so long.
        let ended = tokio::time::timeout(Duration::from_mins(5), futures::future::join_all(tasks));
        let ended = ended.await.expect("a caller is never woken");
        while active.renewal.is_running(&()) {
            tokio::task::yield_now().await;
        }
        ended.into_iter().map(Result::unwrap).sum()
    });
    assert_eq!(kms.most_concurrent(), 1, "two data keys at a time");
    let made = kms.calls_of(Operation::Unwrap);
    assert!(made > 20, "{made} data keys");
    // One failed call of the key service harms those who waited for it, and nobody else.
    let harmful = kms.calls_of(Operation::Wrap) - made;
    assert!(
        failed <= harmful * usize::from(TASKS),
        "{failed} of {harmful}"
    );
}
