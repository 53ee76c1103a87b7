//! When a server counts as ready, for keys that answer, refuse or are unreachable.

use temporal_kms::faulty::{Answer, FaultyKey};
use temporal_kms_codec::{Codec, Namespace, kms::KeyProvider};
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
    let keys = namespaces(&[&denied, &usable]);
    Arc::clone(&readiness).watch_keys(keys).await;
    let report = readiness.report();
    assert!(report.is_ready());
    let reason = report.conditions[KEYS].reason().unwrap();
    assert!(reason.starts_with("1 of 2 encrypting keys"), "{reason}");
}

fn namespaces(keys: &[&Arc<FaultyKey>]) -> Arc<Namespaces> {
    let codecs = keys.iter().enumerate().map(|(number, key)| {
        let namespace = Namespace::new(&format!("n{number}")).unwrap();
        let key: Arc<dyn KeyProvider> = Arc::<FaultyKey>::clone(key);
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
    Arc::clone(&readiness).watch_keys(namespaces(keys)).await;
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

#[tokio::test]
async fn every_key_is_reported() {
    let denied = FaultyKey::failing("denied", ProviderErrorKind::PermissionDenied);
    let first = FaultyKey::failing("first", ProviderErrorKind::Unavailable);
    let second = FaultyKey::failing("second", ProviderErrorKind::KeyDisabled);
    let usable = FaultyKey::new("usable");
    let round = Round::of(
        namespaces(&[&denied, &first, &second, &usable])
            .check_keys()
            .await,
    );
    let names = |keys: &[(KeyUri, ProviderError)]| -> Vec<String> {
        keys.iter().map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(names(&round.unreachable), ["local://first"]);
    assert_eq!(names(&round.broken), ["local://second"]);
    assert_eq!(names(&round.denied), ["local://denied"]);
    assert_eq!(round.usable, 1);
}
