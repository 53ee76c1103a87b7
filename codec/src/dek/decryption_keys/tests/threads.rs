//! Many threads at once. Real threads meet in an order of their own, but what each task does follows from its seed.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::{
    prelude::RngExt as _,
    test_runner::{RngAlgorithm, TestRng},
};

use super::*;

const THREADS: usize = 4;
const TASKS: u8 = 16;
const STEPS: usize = 500;
/// The payloads of a request.
const MOST: usize = 5;

/// Each key wraps the data key of its position.
const NAMES: [&str; 4] = ["a", "b", "given", "doubted"];
/// Some callers of this key and of the next one give up. All others wait.
const GIVEN_UP: u8 = 2;
/// This key also gives wrong data keys, and is asked for those of copied payloads.
const DOUBTED: u8 = 3;
/// No right data key has these bytes.
const WRONG: u8 = 77;

/// Fewer data keys than are in use.
const LIMITS: CacheLimits = CacheLimits {
    max_keys: 2,
    ttl: Duration::from_mins(1),
};

fn random(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

/// Lets some calls of a key fail, or panic, or take long. Returns how many of them fail, or panic.
fn disturb(key: &FaultyKey, is_wrong: bool) -> Arc<AtomicUsize> {
    let (calls, failed) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = failed.clone();
    key.script(move |_| {
        let answer = match calls.fetch_add(1, Relaxed) % 40 {
            3 | 17 | 28 => Answer::Fails(ProviderErrorKind::Unavailable),
            9 => Answer::Panics,
            5 | 22 if is_wrong => return Some(Key(WRONG)),
            13 | 31 => return Some(Answer::Takes(Duration::from_millis(1))),
            _ => return Some(Answer::Passes),
        };
        counted.fetch_add(1, Relaxed);
        Some(answer)
    });
    failed
}

/// Opens a payload with the wrapped data key of a key. The data key of `byte`s sealed it.
async fn open(fixture: &Fixture, budget: &Budget, key: u8, byte: u8) -> Result<(), Error> {
    let wrapped = [key; Dek::LEN];
    let name = NAMES[usize::from(key)];
    fixture.open_in(budget, &[(name, &wrapped)], byte).await
}

/// Opens payloads of one request, each in a task of its own, and returns how many failed.
async fn request(fixture: &Arc<Fixture>, keys: Vec<u8>) -> usize {
    let budget = Arc::new(fixture.decryption.budget());
    let tasks = keys.into_iter().map(|key| {
        let (fixture, budget) = (fixture.clone(), budget.clone());
        tokio::spawn(async move { open(&fixture, &budget, key, key).await })
    });
    let mut failed = 0;
    for opened in futures::future::join_all(tasks).await {
        if let Err(error) = opened.unwrap() {
            assert!(error.is_transient(), "{error}");
            failed += 1;
        }
    }
    assert_eq!(budget.reserved(), 0);
    failed
}

/// A caller that gives up, in most cases while its call is under way.
async fn give_up(fixture: &Fixture, key: u8) {
    let budget = fixture.decryption.budget();
    let mut call = Box::pin(open(fixture, &budget, key, key));
    let _ = futures::poll!(&mut call);
    drop(call);
    assert_eq!(budget.reserved(), 0);
}

/// Opens a payload whose key may give a wrong data key, or one that was copied from it.
async fn doubt(fixture: &Fixture, is_copied: bool) {
    let budget = fixture.decryption.budget();
    let byte = if is_copied { WRONG + 1 } else { DOUBTED };
    match open(fixture, &budget, DOUBTED, byte).await {
        Ok(()) => assert!(!is_copied, "a copied payload opens"),
        Err(Error::Payload(PayloadError::NotAuthentic | PayloadError::NotTried)) => {}
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    assert_eq!(budget.reserved(), 0);
}

/// Does what the seed says, and returns how many payloads failed whose callers waited.
async fn steps(fixture: Arc<Fixture>, seed: u8) -> usize {
    let (clock, cache) = (&fixture.clock, &fixture.decryption.cache);
    let mut random = random(seed);
    let mut failed = 0;
    for _ in 0..STEPS {
        match random.random_range(0..20) {
            0 => clock.advance(Duration::from_secs(random.random_range(1..30))),
            1 => clock.suspend(Duration::from_secs(random.random_range(1..90))),
            2 => clock.set_back(Duration::from_secs(random.random_range(1..90))),
            3 => cache.clear(),
            4 => tokio::task::yield_now().await,
            5..8 => give_up(&fixture, random.random_range(GIVEN_UP..=DOUBTED)).await,
            8..11 => doubt(&fixture, random.random_range(0..3) == 0).await,
            _ => {
                let payloads = 0..random.random_range(1..=MOST);
                let keys = payloads
                    .map(|_| random.random_range(0..=GIVEN_UP))
                    .collect();
                failed += request(&fixture, keys).await;
            }
        }
    }
    failed
}

#[test]
fn many_threads_share_one_call_and_none_waits_for_ever() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .unwrap();
    let fixture = Arc::new(with_limits(NAMES, &LIMITS));
    let positions = (0..).zip(&fixture.keys);
    let disturbed = positions.map(|(position, key)| disturb(key, position == DOUBTED));
    let disturbed: Vec<_> = disturbed.collect();
    let failed: usize = runtime.block_on(async {
        let tasks = (0..TASKS).map(|seed| tokio::spawn(steps(fixture.clone(), seed)));
        // Only a caller that is never woken takes so long.
        let ended = tokio::time::timeout(Duration::from_mins(5), futures::future::join_all(tasks));
        let ended = ended.await.expect("a caller is never woken");
        ended.into_iter().map(Result::unwrap).sum()
    });
    let cache = &fixture.decryption.cache;
    assert!(cache.is_idle(), "a call is under way that nobody waits for");
    for key in fixture.keys.iter().take(usize::from(GIVEN_UP)) {
        assert_eq!(key.most_concurrent(), 1, "two calls for one data key");
        assert!(key.calls() > 20, "{} calls", key.calls());
    }
    // One failed call harms those who waited for it, and nobody else.
    let waited = disturbed.iter().take(usize::from(DOUBTED));
    let harmful: usize = waited.map(|failed| failed.load(Relaxed)).sum();
    let most = harmful * usize::from(TASKS) * MOST;
    assert!(failed <= most, "{failed} of {harmful}");

    for key in &fixture.keys {
        key.recover();
    }
    fixture.clock.advance(Duration::from_mins(20));
    let budget = fixture.decryption.budget();
    for key in 0..=DOUBTED {
        runtime.block_on(open(&fixture, &budget, key, key)).unwrap();
    }
    assert_eq!(budget.reserved(), 0);
}
