use std::{sync::Arc, time::Duration};

use temporal_kms_codec::{
    Dek,
    kms::{CallPolicy, KmsMetrics, Operation, ProviderErrorKind as Kind},
};

use crate::conformance::service::{Bench, Trouble, context, kind};

pub(crate) async fn permission_denied(bench: &Bench) {
    bench.made("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let key = bench.surrounded("k", &policy(), &metrics).await;
    let context = context(&[("namespace", "a")]);
    let (_, wrapped) = key.generate_dek(&context).await.expect("permitted");
    bench.trouble(Trouble::Denied, usize::MAX);
    assert_eq!(
        kind(key.generate_dek(&context).await),
        Kind::PermissionDenied
    );
    assert_eq!(
        kind(key.unwrap(&wrapped, &context).await),
        Kind::PermissionDenied
    );
    assert_eq!(kind(key.encrypt(b"x").await), Kind::PermissionDenied);
    for (_, operation, numbers) in metrics.snapshot() {
        assert_eq!(numbers.retries, 0, "{operation:?} is of no use again");
    }
    bench.recover();
    key.unwrap(&wrapped, &context).await.expect("permitted");
}

pub(crate) async fn throttling(bench: &Bench) {
    passes(bench, Trouble::Throttled).await;
}

pub(crate) async fn slow_server(bench: &Bench) {
    passes(bench, Trouble::Slow).await;
}

pub(crate) async fn dead_server(bench: &Bench) {
    passes(bench, Trouble::Dead).await;
}

pub(crate) async fn garbage_answers(bench: &Bench) {
    passes(bench, Trouble::Garbage).await;
}

pub(crate) async fn damaged_answers(bench: &Bench) {
    passes(bench, Trouble::Damaged).await;
}

pub(crate) async fn a_breaker_spares_a_dead_service(bench: &Bench) {
    bench.made("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let policy = CallPolicy {
        breaker_failures: 2,
        breaker_pause: Duration::from_hours(1),
        ..CallPolicy::once()
    };
    let key = bench.surrounded("k", &policy, &metrics).await;
    let context = context(&[("namespace", "a")]);
    bench.trouble(Trouble::Dead, 2);
    for _ in 0..2 {
        assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    }
    // The service is back, and is not asked before the pause is over.
    assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    bench.recover();
    let another = bench.open("k").await;
    another.generate_dek(&context).await.expect("it is back");
}

/// A trouble that ends is survived, and one that does not fails as what it is.
async fn passes(bench: &Bench, trouble: Trouble) {
    bench.made("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let patient = bench.surrounded("k", &policy(), &metrics).await;
    let context = context(&[("namespace", "a")]);
    let dek = Dek::new([9; 32]);
    let wrapped = patient.wrap(&dek, &context).await.expect("wrapped");

    bench.trouble(trouble, 1);
    patient.wrap(&dek, &context).await.expect("a second try");
    bench.recover();
    bench.trouble(trouble, 1);
    let opened = patient.unwrap(&wrapped, &context).await;
    assert_eq!(opened.expect("a second try").expose(), dek.expose());
    bench.recover();
    let retries: u64 = metrics
        .snapshot()
        .iter()
        .filter(|(_, operation, _)| [Operation::Wrap, Operation::Unwrap].contains(operation))
        .map(|(_, _, numbers)| numbers.retries)
        .sum();
    assert!(retries >= 2, "{retries} retries");

    let once = CallPolicy {
        attempt_timeout: Duration::from_millis(300),
        ..CallPolicy::once()
    };
    let key = bench.surrounded("k", &once, &metrics).await;
    bench.trouble(trouble, usize::MAX);
    let (wrapping, unwrapping) = (
        kind(key.wrap(&dek, &context).await),
        kind(key.unwrap(&wrapped, &context).await),
    );
    assert_eq!([wrapping, unwrapping], [trouble.kind(); 2]);
    assert!(trouble.kind().is_transient());
    bench.recover();
    patient.unwrap(&wrapped, &context).await.expect("recovered");
}

/// As by default, without the waiting.
fn policy() -> CallPolicy {
    CallPolicy {
        attempt_timeout: Duration::from_secs(2),
        base_delay: Duration::from_millis(1),
        ..CallPolicy::default()
    }
}
