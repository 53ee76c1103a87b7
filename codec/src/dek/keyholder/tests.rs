use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::{
    Dek,
    clock::tests::ManualClock,
    dek::CacheLimits,
    kms::{KeyDescription, Protection},
};

/// A key that unwraps what it was told, in so many answers, and refuses everything else.
#[derive(Debug)]
struct Scripted {
    uri: KeyUri,
    answers: Mutex<HashMap<Vec<u8>, VecDeque<Answer>>>,
    calls: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Key(u8),
    Fails(ProviderErrorKind),
    Panics,
}

use Answer::{Fails, Key, Panics};

impl Scripted {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            uri: format!("local://{name}").parse().unwrap(),
            answers: Mutex::default(),
            calls: AtomicUsize::new(0),
        })
    }

    /// The answers for a wrapped key. The last one is repeated.
    fn answers(&self, wrapped: &[u8], answers: &[Answer]) {
        let answers = answers.iter().copied().collect();
        self.answers.lock().insert(wrapped.to_vec(), answers);
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    async fn answer(&self, wrapped: &[u8]) -> Result<[u8; 32], ProviderError> {
        self.calls.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        let answer = {
            let mut answers = self.answers.lock();
            answers.get_mut(wrapped).and_then(|answers| {
                let next = answers.front().copied();
                if answers.len() > 1 {
                    answers.pop_front();
                }
                next
            })
        };
        match answer.unwrap_or(Fails(ProviderErrorKind::InvalidCiphertext)) {
            Key(byte) => Ok([byte; 32]),
            Fails(kind) => Err(ProviderError::new(kind, &self.uri)),
            Panics => panic!("the provider is broken"),
        }
    }
}

#[async_trait]
impl KeyProvider for Scripted {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    fn max_wrapped(&self) -> usize {
        100
    }

    async fn wrap(&self, _: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        unreachable!("opening wraps nothing")
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        _: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.answer(wrapped.as_bytes()).await.map(Dek::new)
    }

    fn max_plaintext(&self) -> usize {
        0
    }

    async fn encrypt(&self, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        unreachable!("opening encrypts nothing")
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let answer = self.answer(ciphertext).await;
        answer.map(|bytes| Zeroizing::new(bytes[1..].to_vec()))
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        let uri = self.uri.clone();
        Ok(KeyDescription::new(uri, "1", Protection::Software))
    }
}

struct Fixture {
    keyholder: Keyholder,
    keys: Vec<Arc<Scripted>>,
    clock: Arc<ManualClock>,
    counters: Arc<Counters>,
}

fn fixture<const N: usize>(names: [&str; N]) -> Fixture {
    let (clock, counters) = (Arc::new(ManualClock::new()), Arc::new(Counters::default()));
    let keys: Vec<_> = names.iter().map(|name| Scripted::new(name)).collect();
    let providers = keys.iter().map(|key| key.clone() as Arc<dyn KeyProvider>);
    let cache = DekCache::new(&CacheLimits::default(), clock.clone(), counters.clone());
    let shared: Arc<dyn Clock> = clock.clone();
    Fixture {
        keyholder: Keyholder::new(
            providers.collect(),
            Arc::new(cache),
            &shared,
            counters.clone(),
        ),
        keys,
        clock,
        counters,
    }
}

impl Fixture {
    /// Opens a payload that the data key of `byte`s sealed.
    async fn open_in(
        &self,
        budget: &Budget,
        recipients: &[(&str, &[u8])],
        byte: u8,
    ) -> Result<(), Error> {
        let recipients: Vec<_> = recipients
            .iter()
            .map(|(name, wrapped)| Recipient {
                key: format!("local://{name}").parse().unwrap(),
                wrapped: WrappedDek::new(wrapped.to_vec()),
            })
            .collect();
        let context = EncryptionContext::empty();
        let open = |key: &DataKey| match key.is_same(&Dek::new([byte; 32])) {
            true => Ok(()),
            false => Err(PayloadError::NotAuthentic),
        };
        self.keyholder
            .open(&recipients, &context, budget, open)
            .await
    }

    async fn open(&self, recipients: &[(&str, &[u8])], byte: u8) -> Result<(), Error> {
        let budget = self.keyholder.budget();
        self.open_in(&budget, recipients, byte).await
    }

    fn calls(&self) -> usize {
        self.keys.iter().map(|key| key.calls()).sum()
    }
}

fn payload_error(result: Result<(), Error>) -> PayloadError {
    match result {
        Err(Error::Payload(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn bogus(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

#[tokio::test]
async fn the_same_bogus_key_costs_one_call_for_some_minutes() {
    let f = fixture(["k"]);
    for _ in 0..100 {
        let error = payload_error(f.open(&[("k", b"bogus")], 1).await);
        assert_eq!(error, PayloadError::NotAuthentic);
    }
    assert_eq!(f.calls(), 1);
    assert_eq!(f.counters.snapshot().refusal_cache_hits, 99);
    f.clock.advance(Duration::from_mins(10));
    f.open(&[("k", b"bogus")], 1).await.unwrap_err();
    assert_eq!(f.calls(), 2);
}

#[tokio::test]
async fn one_request_has_sixteen_failures_and_the_same_again_has_none() {
    let f = fixture(["k"]);
    for _ in 0..3 {
        let budget = f.keyholder.budget();
        let wrapped: Vec<_> = (0..8000).map(bogus).collect();
        let recipients: Vec<_> = wrapped
            .iter()
            .map(|wrapped| [("k", &wrapped[..])])
            .collect();
        let opened = recipients.iter().map(|one| f.open_in(&budget, one, 1));
        let errors: Vec<_> = futures::future::join_all(opened)
            .await
            .into_iter()
            .map(payload_error)
            .collect();
        assert_eq!(f.calls(), 16);
        let failed = errors
            .iter()
            .filter(|error| **error == PayloadError::NotAuthentic);
        assert_eq!(failed.count(), 16);
        assert_eq!(errors[16], PayloadError::NotTried);
    }
}

#[tokio::test]
async fn known_keys_open_beside_any_number_of_failures() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"good", &[Key(1)]);
    f.open(&[("k", b"good")], 1).await.unwrap();
    let budget = f.keyholder.budget();
    for n in 0..100 {
        let wrapped = bogus(n);
        f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
        f.open_in(&budget, &[("k", b"good")], 1).await.unwrap();
    }
}

#[tokio::test]
async fn an_honest_request_is_tried_however_many_others_fail() {
    let f = fixture(["k"]);
    for n in 0..1000 {
        let budget = f.keyholder.budget();
        for k in 0..16 {
            let wrapped = bogus(16 * n + k);
            f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
        }
    }
    // Each request may fail once, and all together a few times more.
    assert!(f.calls() <= 1000 + 64, "{} calls", f.calls());
    let budget = f.keyholder.budget();
    for byte in 0..30 {
        let wrapped = [b'g', byte];
        f.keys[0].answers(&wrapped, &[Key(byte)]);
        f.open_in(&budget, &[("k", &wrapped)], byte).await.unwrap();
    }
}

#[tokio::test]
async fn honest_payloads_use_no_budget_up() {
    let f = fixture(["a", "b"]);
    let budget = f.keyholder.budget();
    let wrapped: Vec<_> = (0..200).map(|n| [n, 7]).collect();
    for (byte, wrapped) in (0..).zip(&wrapped) {
        f.keys[1].answers(wrapped, &[Key(byte)]);
    }
    // Each fails at the first key before it opens with the second one.
    let recipients: Vec<_> = wrapped
        .iter()
        .map(|wrapped| [("a", &wrapped[..]), ("b", &wrapped[..])])
        .collect();
    let opened = (0..)
        .zip(&recipients)
        .map(|(byte, one)| f.open_in(&budget, one, byte));
    for opened in futures::future::join_all(opened).await {
        opened.unwrap();
    }
    assert_eq!(f.calls(), 400);

    // That the first key refuses them is known now, and is not held against them.
    let budget = f.keyholder.budget();
    for (byte, one) in (0..).zip(&recipients) {
        f.open_in(&budget, one, byte).await.unwrap();
    }
    let fresh: &[(&str, &[u8])] = &[("a", b"fresh"), ("b", b"fresh")];
    f.keys[1].answers(b"fresh", &[Key(1)]);
    f.open_in(&budget, fresh, 1).await.unwrap();
}

#[tokio::test]
async fn an_outage_uses_no_budget_up() {
    let f = fixture(["k"]);
    let budget = f.keyholder.budget();
    for n in 0..100 {
        let wrapped = bogus(n);
        f.keys[0].answers(&wrapped, &[Fails(ProviderErrorKind::Unavailable)]);
        let error = f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
        assert!(error.is_transient());
    }
    assert_eq!(f.calls(), 100);
}

#[tokio::test]
async fn a_key_that_refuses_is_asked_once_a_second() {
    let f = fixture(["k"]);
    for n in 0..1000 {
        let wrapped = bogus(n);
        f.keys[0].answers(&wrapped, &[Fails(ProviderErrorKind::KeyDisabled)]);
        let error = f.open(&[("k", &wrapped)], 1).await.unwrap_err();
        assert!(matches!(error, Error::Provider(_)), "{error}");
    }
    assert_eq!(f.calls(), 1);
    f.clock.advance(Duration::from_secs(1));
    f.keys[0].answers(&bogus(0), &[Key(1)]);
    f.open(&[("k", &bogus(0))], 1).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_disabled_opens_what_is_cached_until_it_expires() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", &[Key(1), Fails(ProviderErrorKind::KeyDisabled)]);
    f.open(&[("k", b"w")], 1).await.unwrap();
    f.clock.advance(Duration::from_mins(59));
    f.open(&[("k", b"w")], 1).await.unwrap();
    f.clock.advance(Duration::from_mins(1));
    let error = f.open(&[("k", b"w")], 1).await.unwrap_err();
    let Error::Provider(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.kind(), ProviderErrorKind::KeyDisabled);
}

#[tokio::test]
async fn a_wrong_answer_of_the_kms_is_asked_for_again() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", &[Key(9), Key(1)]);
    f.open(&[("k", b"w")], 1).await.unwrap();
    assert_eq!(f.calls(), 2);
    f.open(&[("k", b"w")], 1).await.unwrap();
    assert_eq!(f.calls(), 2, "the right key was not kept");
}

#[tokio::test]
async fn a_wrong_answer_that_stays_wrong_is_not_kept() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", &[Key(9), Key(8), Key(1)]);
    let error = payload_error(f.open(&[("k", b"w")], 1).await);
    assert_eq!(error, PayloadError::NotAuthentic);
    f.open(&[("k", b"w")], 1).await.unwrap();
}

#[tokio::test]
async fn a_copied_wrapped_key_costs_two_calls_however_often_it_is_used() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"copied", &[Key(1)]);
    for _ in 0..1000 {
        let error = payload_error(f.open(&[("k", b"copied")], 7).await);
        assert_eq!(error, PayloadError::NotAuthentic);
    }
    assert_eq!(f.calls(), 2);
    f.open(&[("k", b"copied")], 1).await.unwrap();
}

#[tokio::test]
async fn copied_wrapped_keys_of_one_request_are_bounded_too() {
    let f = fixture(["k"]);
    let budget = f.keyholder.budget();
    let wrapped: Vec<_> = (0..8000).map(bogus).collect();
    let recipients: Vec<_> = wrapped
        .iter()
        .map(|wrapped| [("k", &wrapped[..])])
        .collect();
    for wrapped in &wrapped {
        f.keys[0].answers(wrapped, &[Key(1)]);
    }
    let opened = recipients.iter().map(|one| f.open_in(&budget, one, 7));
    for opened in futures::future::join_all(opened).await {
        opened.unwrap_err();
    }
    assert!(f.calls() <= 16, "{} calls", f.calls());
}

#[tokio::test]
async fn a_recipient_that_gives_a_wrong_key_does_not_hide_the_right_one() {
    let f = fixture(["a", "b"]);
    f.keys[0].answers(b"w", &[Key(9)]);
    f.keys[1].answers(b"w", &[Key(1)]);
    let both: &[(&str, &[u8])] = &[("a", b"w"), ("b", b"w")];
    for _ in 0..3 {
        f.open(both, 1).await.unwrap();
    }
    assert_eq!(f.keys[1].calls(), 1);
}

#[tokio::test]
async fn a_wrapped_key_that_is_too_long_costs_no_call() {
    let f = fixture(["a", "b"]);
    let long = [7; 101];
    let error = payload_error(f.open(&[("a", &long), ("b", &long)], 1).await);
    assert!(matches!(error, PayloadError::TooLarge { limit: 100, .. }));
    assert_eq!(f.calls(), 0);
}

#[tokio::test]
async fn a_provider_that_panics_fails_its_callers_and_nobody_else() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"bad", &[Panics, Key(1)]);
    f.keys[0].answers(b"good", &[Key(2)]);
    let (first, second, other) = futures::join!(
        f.open(&[("k", b"bad")], 1),
        f.open(&[("k", b"bad")], 1),
        f.open(&[("k", b"good")], 2),
    );
    assert!(first.unwrap_err().is_transient() && second.unwrap_err().is_transient());
    other.unwrap();
    f.open(&[("k", b"bad")], 1).await.unwrap();
}

#[tokio::test]
async fn direct_payloads_are_bounded_like_wrapped_keys() {
    let f = fixture(["k"]);
    let key = "local://k".parse().unwrap();
    for _ in 0..2 {
        let budget = f.keyholder.budget();
        let ciphertexts: Vec<[u8; 1]> = (0..1000u32).map(|n| [n.to_le_bytes()[0]]).collect();
        let decrypted = ciphertexts
            .iter()
            .map(|ciphertext| f.keyholder.decrypt(&key, ciphertext, &budget));
        for decrypted in futures::future::join_all(decrypted).await {
            decrypted.unwrap_err();
        }
        assert_eq!(f.calls(), 16);
    }
    f.keys[0].answers(b"good", &[Key(1)]);
    let budget = f.keyholder.budget();
    f.keyholder.decrypt(&key, b"good", &budget).await.unwrap();
}
