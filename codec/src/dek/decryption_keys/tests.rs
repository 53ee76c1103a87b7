//! Which keys are asked for a payload, and how often.

mod histories;
mod model;
mod threads;

use std::time::Duration;

use temporal_kms::{
    KeyLimits,
    faulty::{Answer, FaultyKey},
    support::clock::ManualClock,
};

use super::*;
use crate::{
    Dek,
    dek::{CacheLimits, budget::SKIPPED, encrypting_keys::EncryptingKeys},
    kms::ProviderErrorKind,
};

use Answer::{Fails, Panics, Presumes};

/// A key that refuses everything but what it was told.
fn scripted(name: &str) -> Arc<FaultyKey> {
    let uri = format!("local://{name}").parse().unwrap();
    let key = FaultyKey::with_limits(uri, KeyLimits::default().with_max_wrapped(100));
    key.fail(ProviderErrorKind::InvalidCiphertext);
    key
}

/// The data key of these bytes.
#[expect(non_snake_case, reason = "it reads as the other answers")]
fn Key(byte: u8) -> Answer {
    Answer::Gives(vec![byte; Dek::LEN])
}

/// A direct payload of these bytes. None has a data key's length.
#[expect(non_snake_case, reason = "it reads as the other answers")]
fn Plaintext(byte: u8) -> Answer {
    Answer::Gives(vec![byte; Dek::LEN - 1])
}

struct Fixture {
    decryption: DecryptionKeys,
    keys: Vec<Arc<FaultyKey>>,
    clock: Arc<ManualClock>,
    counters: Arc<Counters>,
}

fn fixture<const N: usize>(names: [&str; N]) -> Fixture {
    with_limits(names, &CacheLimits::default())
}

fn with_limits<const N: usize>(names: [&str; N], limits: &CacheLimits) -> Fixture {
    let (clock, counters) = (Arc::new(ManualClock::new()), Arc::new(Counters::default()));
    let keys: Vec<_> = names.iter().map(|name| scripted(name)).collect();
    let providers = keys.iter().map(|key| key.clone() as Arc<dyn KeyProvider>);
    let cache = DekCache::new(limits, clock.clone(), counters.clone());
    let shared: Arc<dyn Clock> = clock.clone();
    Fixture {
        decryption: DecryptionKeys::new(
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

/// Wrapped data keys, each with the name of its key.
fn recipients(named: &[(&str, &[u8])]) -> Vec<Recipient> {
    let recipient = |(name, wrapped): &(&str, &[u8])| Recipient {
        key: format!("local://{name}").parse().unwrap(),
        wrapped: WrappedDek::new(wrapped.to_vec()),
    };
    named.iter().map(recipient).collect()
}

impl Fixture {
    /// Opens a payload that the data key of `byte`s sealed.
    async fn open_in(
        &self,
        budget: &Budget,
        named: &[(&str, &[u8])],
        byte: u8,
    ) -> Result<(), Error> {
        let recipients = recipients(named);
        let context = EncryptionContext::empty();
        let open = |key: &ExpandedDek| {
            if key.is_same(&Dek::new([byte; 32])) {
                Ok(())
            } else {
                Err(PayloadError::NotAuthentic)
            }
        };
        self.decryption
            .open(&recipients, &context, budget, open)
            .await
    }

    /// Opens payloads at the same time: the one at each position is sealed by the data key of bytes of that number.
    async fn all_open_in<const N: usize>(&self, budget: &Budget, payloads: &[[(&str, &[u8]); N]]) {
        let opened = (0..)
            .zip(payloads)
            .map(|(byte, named)| self.open_in(budget, named, byte));
        for opened in futures::future::join_all(opened).await {
            opened.unwrap();
        }
    }

    async fn open(&self, recipients: &[(&str, &[u8])], byte: u8) -> Result<(), Error> {
        let budget = self.decryption.budget();
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
        let budget = f.decryption.budget();
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
    f.keys[0].answers(b"good", [Key(1)]);
    f.open(&[("k", b"good")], 1).await.unwrap();
    let budget = f.decryption.budget();
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
        let budget = f.decryption.budget();
        for k in 0..16 {
            let wrapped = bogus(16 * n + k);
            f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
        }
    }
    // Each request may fail once, and all together a few times more.
    assert!(f.calls() <= 1000 + 64, "{} calls", f.calls());
    let budget = f.decryption.budget();
    for byte in 0..30 {
        let wrapped = [b'g', byte];
        f.keys[0].answers(&wrapped, [Key(byte)]);
        f.open_in(&budget, &[("k", &wrapped)], byte).await.unwrap();
    }
}

#[tokio::test]
async fn honest_payloads_use_no_budget_up() {
    let f = fixture(["a", "b"]);
    let budget = f.decryption.budget();
    let wrapped: Vec<_> = (0..200).map(|n| [n, 7]).collect();
    for (byte, wrapped) in (0..).zip(&wrapped) {
        f.keys[1].answers(wrapped, [Key(byte)]);
    }
    // Each fails at the first key before it opens with the second one.
    let recipients: Vec<_> = wrapped
        .iter()
        .map(|wrapped| [("a", &wrapped[..]), ("b", &wrapped[..])])
        .collect();
    f.all_open_in(&budget, &recipients).await;
    assert_eq!(f.calls(), 400);

    // That the first key refuses them is known now, and is not held against them.
    let budget = f.decryption.budget();
    for (byte, one) in (0..).zip(&recipients) {
        f.open_in(&budget, one, byte).await.unwrap();
    }
    let fresh: &[(&str, &[u8])] = &[("a", b"fresh"), ("b", b"fresh")];
    f.keys[1].answers(b"fresh", [Key(1)]);
    f.open_in(&budget, fresh, 1).await.unwrap();
}

#[tokio::test]
async fn an_outage_uses_no_budget_up() {
    let f = fixture(["k"]);
    let budget = f.decryption.budget();
    for n in 0..100 {
        let wrapped = bogus(n);
        f.keys[0].answers(&wrapped, [Fails(ProviderErrorKind::Unavailable)]);
        let error = f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
        assert!(error.is_transient());
    }
    assert_eq!(f.calls(), 100);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_asked_once_a_second() {
    let f = fixture(["k"]);
    for n in 0..1000 {
        let wrapped = bogus(n);
        f.keys[0].answers(&wrapped, [Fails(ProviderErrorKind::KeyNotFound)]);
        let error = f.open(&[("k", &wrapped)], 1).await.unwrap_err();
        assert!(matches!(error, Error::Provider(_)), "{error}");
    }
    assert_eq!(f.calls(), 1);
    f.clock.advance(Duration::from_secs(1));
    f.keys[0].answers(&bogus(0), [Key(1)]);
    f.open(&[("k", &bogus(0))], 1).await.unwrap();
}

#[tokio::test]
async fn a_sender_cannot_put_a_healthy_key_to_rest() {
    for kind in [
        ProviderErrorKind::KeyDisabled,
        ProviderErrorKind::PermissionDenied,
        ProviderErrorKind::KeyVersionGone,
    ] {
        let f = fixture(["k"]);
        for n in 0..100 {
            // A payload of a version that is disabled, or with a context that the key's rules forbid.
            f.keys[0].answers(&bogus(n), [Fails(kind)]);
            f.open(&[("k", &bogus(n))], 1).await.unwrap_err();
            let honest = [b'g', u8::try_from(n).unwrap()];
            f.keys[0].answers(&honest, [Key(1)]);
            f.open(&[("k", &honest)], 1).await.unwrap();
            f.clock.advance(Duration::from_mins(61));
        }
    }
}

#[tokio::test]
async fn a_key_whose_data_keys_are_in_use_is_not_put_to_rest() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"good", [Key(1)]);
    f.open(&[("k", b"good")], 1).await.unwrap();
    f.clock.advance(Duration::from_mins(59));
    f.open(&[("k", b"good")], 1).await.unwrap();
    assert_eq!(f.calls(), 1);
    f.clock.advance(Duration::from_mins(10));
    f.keys[0].answers(b"odd", [Fails(ProviderErrorKind::KeyNotFound)]);
    f.open(&[("k", b"odd")], 1).await.unwrap_err();
    f.open(&[("k", b"good")], 1).await.unwrap();
}

#[tokio::test]
async fn what_a_resting_key_answers_is_not_remembered_for_the_payload() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"odd", [Fails(ProviderErrorKind::KeyNotFound)]);
    f.keys[0].answers(b"good", [Key(1)]);
    f.open(&[("k", b"odd")], 1).await.unwrap_err();
    f.clock.advance(Duration::from_millis(500));
    f.open(&[("k", b"good")], 1).await.unwrap_err();
    f.clock.advance(Duration::from_millis(500));
    f.open(&[("k", b"good")], 1).await.unwrap();
    assert_eq!(f.calls(), 2);
}

#[tokio::test]
async fn what_a_resting_key_answers_uses_no_budget_up() {
    let f = fixture(["missing", "k"]);
    let budget = f.decryption.budget();
    for n in 0..100 {
        let wrapped = bogus(n);
        f.keys[0].answers(&wrapped, [Fails(ProviderErrorKind::KeyNotFound)]);
        let error = f.open_in(&budget, &[("missing", &wrapped)], 1).await;
        assert!(matches!(error, Err(Error::Provider(_))), "{error:?}");
    }
    assert_eq!(f.calls(), 1);
    f.keys[1].answers(b"good", [Key(1)]);
    f.open_in(&budget, &[("k", b"good")], 1).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_disabled_opens_what_is_cached_until_it_expires() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", [Key(1), Fails(ProviderErrorKind::KeyDisabled)]);
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
async fn a_presumed_verdict_holds_for_a_second() {
    let f = fixture(["k"]);
    f.keys[0].answers(
        b"w",
        [Presumes(ProviderErrorKind::InvalidCiphertext), Key(1)],
    );
    for _ in 0..100 {
        let error = payload_error(f.open(&[("k", b"w")], 1).await);
        assert_eq!(error, PayloadError::NotAuthentic, "as of any other");
    }
    assert_eq!(f.calls(), 1);
    f.clock.advance(Duration::from_secs(1));
    f.open(&[("k", b"w")], 1).await.unwrap();

    f.keys[0].answers(
        b"d",
        [Presumes(ProviderErrorKind::InvalidCiphertext), Plaintext(1)],
    );
    for _ in 0..2 {
        let budget = f.decryption.budget();
        let error = f.decrypt(&budget, b"d").await.unwrap_err();
        assert!(matches!(error, Error::Payload(PayloadError::NotAuthentic)));
    }
    f.clock.advance(Duration::from_secs(1));
    let budget = f.decryption.budget();
    f.decrypt(&budget, b"d").await.unwrap();
}

#[tokio::test]
async fn a_wrong_answer_of_the_kms_is_asked_for_again() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", [Key(9), Key(1)]);
    f.open(&[("k", b"w")], 1).await.unwrap();
    assert_eq!(f.calls(), 2);
    f.open(&[("k", b"w")], 1).await.unwrap();
    assert_eq!(f.calls(), 2, "the right key was not kept");
}

#[tokio::test]
async fn a_wrong_answer_that_stays_wrong_is_not_kept() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"w", [Key(9), Key(8), Key(1)]);
    let error = payload_error(f.open(&[("k", b"w")], 1).await);
    assert_eq!(error, PayloadError::NotAuthentic);
    f.open(&[("k", b"w")], 1).await.unwrap();
}

#[tokio::test]
async fn a_copied_wrapped_key_costs_two_calls_however_often_it_is_used() {
    let f = fixture(["k"]);
    f.keys[0].answers(b"copied", [Key(1)]);
    for _ in 0..1000 {
        let error = payload_error(f.open(&[("k", b"copied")], 7).await);
        assert_eq!(error, PayloadError::NotAuthentic);
    }
    assert_eq!(f.calls(), 2);
    f.open(&[("k", b"copied")], 1).await.unwrap();
}

/// 2,000 payloads with the wrapped keys of `distinct` others, one after another or all at once.
async fn open_copies(f: &Fixture, distinct: u32, at_once: bool) -> usize {
    let before = f.calls();
    let budget = f.decryption.budget();
    let wrapped: Vec<_> = (0..2000).map(|n| bogus(n % distinct)).collect();
    let recipients: Vec<_> = wrapped
        .iter()
        .map(|wrapped| [("k", &wrapped[..])])
        .collect();
    let opened = recipients.iter().map(|one| f.open_in(&budget, one, 7));
    if at_once {
        for opened in futures::future::join_all(opened).await {
            opened.unwrap_err();
        }
    } else {
        for opened in opened {
            opened.await.unwrap_err();
        }
    }
    f.calls() - before
}

#[tokio::test]
async fn copied_wrapped_keys_cost_two_calls_each_in_all_and_sixteen_in_a_request() {
    for (distinct, at_once) in [(16, true), (16, false), (2000, true), (2000, false)] {
        let f = fixture(["k"]);
        for n in 0..distinct {
            f.keys[0].answers(&bogus(n), [Key(1)]);
        }
        for round in 0..8 {
            let calls = open_copies(&f, distinct, at_once).await;
            assert!(calls <= 16, "{calls} calls, {distinct} keys, round {round}");
        }
        assert_eq!(f.calls(), 32, "{distinct} keys, at once: {at_once}");
        for n in 0..16 {
            f.open(&[("k", &bogus(n))], 1).await.unwrap();
        }
        f.keys[0].answers(b"good", [Key(1)]);
        f.open(&[("k", b"good")], 1).await.unwrap();
        assert_eq!(f.calls(), 33);
    }
}

#[tokio::test]
async fn known_refusals_leave_other_payloads_of_their_request_their_calls() {
    for kind in [
        ProviderErrorKind::InvalidCiphertext,
        ProviderErrorKind::KeyVersionGone,
    ] {
        let f = fixture(["k"]);
        let request = async |honest: &[u8]| {
            let budget = f.decryption.budget();
            for n in 0..17 {
                f.keys[0].answers(&bogus(n), [Fails(kind)]);
                let wrapped = bogus(n);
                f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
            }
            f.keys[0].answers(honest, [Key(1)]);
            f.open_in(&budget, &[("k", honest)], 1).await
        };
        let error = payload_error(request(b"honest").await);
        assert_eq!(error, PayloadError::NotTried);
        // The same again costs no call, but what is new is tried.
        let error = payload_error(request(b"honest").await);
        assert_eq!(error, PayloadError::NotTried);
        assert_eq!(f.calls(), 16);
        request(b"new").await.unwrap();
        assert_eq!(f.calls(), 17);

        f.clock.advance(SKIPPED);
        request(b"honest").await.unwrap();
        assert_eq!(f.calls(), 19);
    }
}

#[tokio::test]
async fn a_payload_that_was_not_tried_opens_in_a_request_of_its_own() {
    let f = fixture(["k"]);
    let budget = f.decryption.budget();
    for n in 0..16 {
        let wrapped = bogus(n);
        f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
    }
    f.keys[0].answers(b"good", [Key(1)]);
    let error = payload_error(f.open_in(&budget, &[("k", b"good")], 1).await);
    assert_eq!(error, PayloadError::NotTried);
    f.open(&[("k", b"good")], 1).await.unwrap();
    f.open_in(&budget, &[("k", b"good")], 1).await.unwrap();
}

#[tokio::test]
async fn a_payload_that_was_not_tried_opens_beside_others_that_open() {
    let f = fixture(["k"]);
    let budget = f.decryption.budget();
    for n in 0..16 {
        let wrapped = bogus(n);
        f.open_in(&budget, &[("k", &wrapped)], 1).await.unwrap_err();
    }
    let wrapped: Vec<_> = (0..17).map(|n| [n, 7]).collect();
    for (byte, wrapped) in (0..).zip(&wrapped) {
        f.keys[0].answers(wrapped, [Key(byte)]);
    }
    let error = payload_error(f.open_in(&budget, &[("k", &wrapped[16])], 16).await);
    assert_eq!(error, PayloadError::NotTried);

    // Nothing of this request fails. The others are being tried when the last one comes.
    let budget = f.decryption.budget();
    let recipients: Vec<_> = wrapped
        .iter()
        .map(|wrapped| [("k", &wrapped[..])])
        .collect();
    f.all_open_in(&budget, &recipients).await;
    assert_eq!(f.calls(), 33);
}

#[tokio::test]
async fn the_names_of_one_key_cost_one_call() {
    let f = fixture(["k"]);
    let names: Vec<_> = (0..10).map(|n| format!("k-alias{n}")).collect();
    let wrapped: Vec<_> = (0..10).map(bogus).collect();
    let all: Vec<_> = names
        .iter()
        .zip(&wrapped)
        .map(|(name, wrapped)| (&**name, &wrapped[..]))
        .collect();
    let error = payload_error(f.open(&all, 1).await);
    assert_eq!(error, PayloadError::NotAuthentic);
    assert_eq!(f.calls(), 1);

    // One wrapped key under each name.
    f.keys[0].answers(b"good", [Key(1)]);
    for name in &names {
        f.open(&[(name, b"good")], 1).await.unwrap();
        f.open(&[(name, &bogus(0))], 1).await.unwrap_err();
    }
    assert_eq!(f.calls(), 2);
}

#[tokio::test]
async fn two_names_of_one_key_are_not_two_recipients() {
    let key = |name| scripted(name) as Arc<dyn KeyProvider>;
    for keys in [["k", "k-alias"], ["k-alias", "k"]] {
        let error = EncryptingKeys::new(keys.map(key).to_vec()).unwrap_err();
        assert!(error.reason().contains("are one key"), "{error}");
    }
    EncryptingKeys::new(["k", "other"].map(key).to_vec()).unwrap();
}

#[tokio::test]
async fn a_recipient_that_gives_a_wrong_key_does_not_hide_the_right_one() {
    let f = fixture(["a", "b"]);
    f.keys[0].answers(b"w", [Key(9)]);
    f.keys[1].answers(b"w", [Key(1)]);
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
    f.keys[0].answers(b"bad", [Panics, Key(1)]);
    f.keys[0].answers(b"good", [Key(2)]);
    let (first, second, other) = futures::join!(
        f.open(&[("k", b"bad")], 1),
        f.open(&[("k", b"bad")], 1),
        f.open(&[("k", b"good")], 2),
    );
    assert!(first.unwrap_err().is_transient() && second.unwrap_err().is_transient());
    other.unwrap();
    f.open(&[("k", b"bad")], 1).await.unwrap();
}

impl Fixture {
    async fn decrypt(&self, budget: &Budget, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        let key = "local://k".parse().unwrap();
        let read = |plaintext: &[u8]| match plaintext {
            [9, ..] => Err(PayloadError::Malformed("it is of another program")),
            _ => Ok(plaintext.to_vec()),
        };
        self.decryption
            .decrypt(&key, ciphertext, budget, read)
            .await
    }
}

#[tokio::test]
async fn direct_payloads_are_bounded_like_wrapped_keys() {
    let f = fixture(["k"]);
    for _ in 0..2 {
        let budget = f.decryption.budget();
        let ciphertexts: Vec<[u8; 1]> = (0..1000u32).map(|n| [n.to_le_bytes()[0]]).collect();
        let decrypted = ciphertexts
            .iter()
            .map(|ciphertext| f.decrypt(&budget, ciphertext));
        for decrypted in futures::future::join_all(decrypted).await {
            decrypted.unwrap_err();
        }
        assert_eq!(f.calls(), 16);
    }
    f.keys[0].answers(b"good", [Plaintext(1)]);
    let budget = f.decryption.budget();
    f.decrypt(&budget, b"good").await.unwrap();
}

#[tokio::test]
async fn ciphertexts_of_other_programs_are_bounded_too() {
    let f = fixture(["k"]);
    for n in 0..8000 {
        f.keys[0].answers(&bogus(n), [Plaintext(9)]);
    }
    for _ in 0..3 {
        let budget = f.decryption.budget();
        for n in 0..8000 {
            f.decrypt(&budget, &bogus(n)).await.unwrap_err();
        }
        assert_eq!(f.calls(), 16);
    }
}

#[tokio::test]
async fn equal_direct_payloads_of_a_request_cost_one_call() {
    let f = fixture(["k"]);
    for n in 0..10 {
        f.keys[0].answers(&bogus(n), [Plaintext(u8::try_from(n).unwrap() + 20)]);
    }
    for at_once in [true, false] {
        let before = f.calls();
        let budget = f.decryption.budget();
        let ciphertexts: Vec<_> = (0..8000).map(|n| bogus(n % 10)).collect();
        let decrypted = ciphertexts.iter().map(|one| f.decrypt(&budget, one));
        if at_once {
            for decrypted in futures::future::join_all(decrypted).await {
                decrypted.unwrap();
            }
        } else {
            for decrypted in decrypted {
                decrypted.await.unwrap();
            }
        }
        assert_eq!(f.calls() - before, 10);
    }
}
