//! When a server counts as ready, for keys that answer, refuse or are unreachable.

use temporal_kms::faulty::{Answer, FaultyKey};
use temporal_kms_codec::{
    Codec, EncryptionContext, Namespace,
    kms::{CallLayer, KeyProvider, KmsMetrics, Outcome, ProviderErrorKind},
};
use tokio::time::Instant;

use super::*;
use crate::namespaces::{NamespaceCodec, OnUndecodable};

#[test]
fn never_goes_back() {
    let readiness = Readiness::new();
    assert_eq!(readiness.phase(), Phase::Starting);
    readiness.advance(Phase::Ready);
    readiness.advance(Phase::Draining);
    readiness.advance(Phase::Ready);
    assert_eq!(readiness.phase(), Phase::Draining);
}

#[test]
fn an_unmet_condition_makes_it_not_ready_and_a_degraded_one_does_not() {
    let readiness = Readiness::new();
    readiness.set(KEYS, Condition::Met);
    assert!(!readiness.report().is_ready(), "it has not started");
    readiness.advance(Phase::Ready);
    assert!(readiness.report().is_ready());
    readiness.set("configuration", Condition::Degraded("old".to_owned()));
    assert!(readiness.report().is_ready());
    readiness.set("audit", Condition::Unmet("the disk is full".to_owned()));
    assert!(!readiness.report().is_ready());
    readiness.set("audit", Condition::Met);
    assert!(readiness.report().is_ready());
    readiness.advance(Phase::Draining);
    assert!(!readiness.report().is_ready());
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_used_are_a_reason() {
    let denied = FaultyKey::failing("denied", ProviderErrorKind::PermissionDenied);
    let usable = FaultyKey::new("usable");
    let readiness = Readiness::new();
    assert!(matches!(
        readiness.report().conditions[KEYS],
        Condition::Unmet(_)
    ));
    readiness.ask_keys(&namespaces(&[&denied, &usable])).await;
    let report = readiness.report();
    assert!(report.is_ready());
    let reason = report.conditions[KEYS].reason().unwrap();
    assert!(reason.starts_with("1 of 2 encrypting keys"), "{reason}");
}

fn namespaces(keys: &[&Arc<FaultyKey>]) -> Arc<Namespaces> {
    served(
        keys.iter()
            .map(|key| -> Arc<dyn KeyProvider> { Arc::<FaultyKey>::clone(key) }),
    )
}

/// A namespace for each key.
fn served(keys: impl IntoIterator<Item = Arc<dyn KeyProvider>>) -> Arc<Namespaces> {
    let codecs = keys.into_iter().enumerate().map(|(number, key)| {
        let namespace = Namespace::new(&format!("n{number}")).unwrap();
        let codec = Codec::builder(namespace).encrypt_with(key).build().unwrap();
        NamespaceCodec::new(codec, OnUndecodable::Fail)
    });
    Arc::new(Namespaces::named(codecs))
}

/// A key that works after some calls that fail.
fn failing_at_first(calls: usize, name: &str, kind: ProviderErrorKind) -> Arc<FaultyKey> {
    let key = FaultyKey::new(name);
    key.next(vec![Answer::Fails(kind); calls]);
    key
}

async fn ready_after(keys: &[&Arc<FaultyKey>]) -> Duration {
    let readiness = Readiness::new();
    let start = Instant::now();
    readiness.ask_keys(&namespaces(keys)).await;
    assert_eq!(readiness.phase(), Phase::Ready);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_denied_key_does_not_hide_one_that_is_unreachable() {
    let denied = FaultyKey::failing("denied", ProviderErrorKind::PermissionDenied);
    let away = failing_at_first(2, "away", ProviderErrorKind::Unavailable);
    let waited = ready_after(&[&denied, &away]).await;
    assert_eq!(waited, FIRST_PAUSE + FIRST_PAUSE * 2);
    assert_eq!(away.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_may_only_decrypt_is_ready() {
    let denied = FaultyKey::failing("denied", ProviderErrorKind::PermissionDenied);
    assert_eq!(ready_after(&[&denied]).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_disabled_does_not_keep_other_namespaces_from_being_served() {
    for kind in [
        ProviderErrorKind::KeyDisabled,
        ProviderErrorKind::KeyNotFound,
        ProviderErrorKind::Misconfigured,
    ] {
        let broken = FaultyKey::failing("broken", kind);
        let usable = FaultyKey::new("usable");
        assert_eq!(ready_after(&[&broken, &usable]).await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_key_that_works_is_not_ready() {
    let broken = failing_at_first(2, "broken", ProviderErrorKind::KeyDisabled);
    let waited = ready_after(&[&broken]).await;
    assert_eq!(waited, FIRST_PAUSE + FIRST_PAUSE * 2);
}

/// Two keys whose calls are told to a readiness, as the servers' metrics do it.
struct Told {
    readiness: Arc<Readiness>,
    namespaces: Arc<Namespaces>,
    one: Arc<FaultyKey>,
    surrounded: Arc<dyn KeyProvider>,
}

impl Told {
    fn new() -> Self {
        let readiness = Readiness::new();
        let metrics = Arc::<KmsMetrics>::default();
        metrics.set_sink(Arc::<Readiness>::clone(&readiness));
        let calls = CallLayer::in_process(&metrics);
        let (one, two) = (FaultyKey::new("one"), FaultyKey::new("two"));
        let surrounded = [&one, &two].map(|key| calls.key(Arc::<FaultyKey>::clone(key)).unwrap());
        Self {
            readiness,
            namespaces: served(surrounded.clone()),
            one,
            surrounded: surrounded.into_iter().next().unwrap(),
        }
    }

    async fn wraps(&self) -> bool {
        let context = EncryptionContext::empty();
        self.surrounded.generate_dek(&context).await.is_ok()
    }

    fn keys(&self) -> Condition {
        self.readiness.report().conditions[KEYS].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_after_the_start_degrades_and_the_recovery_is_seen() {
    let told = Told::new();
    let readiness = &told.readiness;
    let watch = Arc::clone(readiness).watch_keys(Arc::clone(&told.namespaces));
    let watch = tokio::spawn(watch);
    while readiness.phase() != Phase::Ready {
        tokio::task::yield_now().await;
    }
    assert_eq!(told.keys(), Condition::Met);
    let asked = told.one.calls();

    // Nothing is asked while nothing fails.
    sleep(LONGEST_PAUSE * 100).await;
    assert_eq!(told.one.calls(), asked);

    told.one.fail(ProviderErrorKind::Unavailable);
    assert!(!told.wraps().await);
    let reason = "1 of 2 encrypting keys cannot be used (unavailable); the log names them";
    assert_eq!(told.keys(), Condition::Degraded(reason.to_owned()));
    assert!(readiness.report().is_ready());
    // It stays so while the key is asked again, and at a reload.
    sleep(LONGEST_PAUSE * 3).await;
    assert!(matches!(told.keys(), Condition::Degraded(_)));
    assert!(!readiness.learn_answers(&told.namespaces.check_keys().await));
    assert!(matches!(told.keys(), Condition::Degraded(_)));
    assert!(readiness.report().is_ready());

    told.one.recover();
    sleep(LONGEST_PAUSE * 2).await;
    assert_eq!(told.keys(), Condition::Met);
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_show_failures_and_their_end() {
    let told = Told::new();
    told.readiness.ask_keys(&told.namespaces).await;
    for kind in [
        ProviderErrorKind::KeyDisabled,
        ProviderErrorKind::PermissionDenied,
        ProviderErrorKind::Throttled,
    ] {
        told.one.fail(kind);
        assert!(!told.wraps().await);
        let degraded = told.keys();
        let reason = degraded.reason().unwrap();
        assert!(reason.contains(&format!("({})", kind.as_str())), "{reason}");
        assert!(told.readiness.report().is_ready());
        told.one.recover();
        assert!(told.wraps().await);
        assert_eq!(told.keys(), Condition::Met);
    }
}

#[test]
fn what_callers_send_does_not_show_that_a_key_cannot_be_used() {
    let key: KeyUri = "local://one".parse().unwrap();
    let mut keys = Keys::of(&[(key.clone(), Ok(()))].into());
    let failed = Outcome::Failed;
    for (operation, outcome) in [
        (
            Operation::Unwrap,
            failed(ProviderErrorKind::PermissionDenied),
        ),
        (
            Operation::Unwrap,
            failed(ProviderErrorKind::InvalidCiphertext),
        ),
        (
            Operation::Decrypt,
            failed(ProviderErrorKind::KeyVersionGone),
        ),
        (
            Operation::Describe,
            failed(ProviderErrorKind::PermissionDenied),
        ),
        (Operation::Wrap, Outcome::GivenUp),
    ] {
        assert!(!keys.learn(operation, &key, outcome), "{operation:?}");
    }
    let unavailable = failed(ProviderErrorKind::Unavailable);
    assert!(keys.learn(Operation::Unwrap, &key, unavailable));
    assert!(!keys.are_settled());
    // A refusal is an answer.
    let refused = failed(ProviderErrorKind::InvalidCiphertext);
    assert!(keys.learn(Operation::Unwrap, &key, refused));
    assert_eq!(keys.condition(Phase::Ready), Condition::Met);
    let other = "local://other".parse().unwrap();
    assert!(!keys.learn(Operation::Unwrap, &other, unavailable));
}

#[tokio::test]
async fn keys_that_fail_count_by_how_they_fail() {
    let denied = FaultyKey::failing("denied", ProviderErrorKind::PermissionDenied);
    let first = FaultyKey::failing("first", ProviderErrorKind::Unavailable);
    let second = FaultyKey::failing("second", ProviderErrorKind::KeyDisabled);
    let usable = FaultyKey::new("usable");
    let namespaces = namespaces(&[&denied, &first, &second, &usable]);
    let keys = Keys::of(&namespaces.check_keys().await);
    let reason = "3 of 4 encrypting keys cannot be used (key_disabled, permission_denied, unavailable); the log names them";
    assert_eq!(
        keys.condition(Phase::Starting),
        Condition::Unmet(reason.to_owned())
    );
    assert_eq!(
        keys.condition(Phase::Ready),
        Condition::Degraded(reason.to_owned())
    );
}
