//! Failures of the service. A call survives a short fault, and reports a lasting fault with the right kind.

use std::{sync::Arc, time::Duration};

use temporal_kms::{CallPolicy, Dek, KmsMetrics, Operation, ProviderErrorKind as Kind};

use crate::{
    Fault,
    suite::{Suite, context, kind},
};

/// Longer than any answer takes on the slowest machine.
const GENEROUS: Duration = Duration::from_secs(30);

/// A missing permission is reported as such, and the call is not repeated.
pub async fn permission_denied(suite: &Suite) {
    suite.create("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let policy = patient(Fault::PermissionDenied);
    let key = suite.open_with("k", &policy, &metrics).await;
    let context = context(&[("namespace", "a")]);
    let (_, wrapped) = key.generate_dek(&context).await.expect("permitted");
    suite.inject(Fault::PermissionDenied, usize::MAX);
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
        assert_eq!(numbers.retries, 0, "{operation:?} was repeated in vain");
    }
    suite.recover();
    key.unwrap(&wrapped, &context).await.expect("permitted");
}

/// The service limits the rate of calls.
pub async fn throttling(suite: &Suite) {
    passes(suite, Fault::Throttled).await;
}

/// The service does not answer.
pub async fn slow_server(suite: &Suite) {
    passes(suite, Fault::NoAnswer).await;
}

/// The service closes connections.
pub async fn dead_server(suite: &Suite) {
    passes(suite, Fault::ConnectionLost).await;
}

/// Another program answers instead of the service.
pub async fn garbage_answers(suite: &Suite) {
    passes(suite, Fault::Garbage).await;
}

/// Answers are altered in transit.
pub async fn damaged_answers(suite: &Suite) {
    passes(suite, Fault::Damaged).await;
}

/// After several failures in a row, calls fail without reaching the service until the pause is over.
pub async fn a_breaker_spares_a_dead_service(suite: &Suite) {
    suite.create("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let policy = once(Fault::ConnectionLost)
        .with_breaker_failures(2)
        .with_breaker_pause(Duration::from_hours(1));
    let key = suite.open_with("k", &policy, &metrics).await;
    let context = context(&[("namespace", "a")]);
    suite.inject(Fault::ConnectionLost, 2);
    for _ in 0..2 {
        assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    }
    // The service answers again, but it is not called before the pause is over.
    assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    suite.recover();
    let another = suite.open("k").await;
    another.generate_dek(&context).await.expect("it answers");
}

/// A call survives a short fault, and reports a lasting fault with the right kind.
async fn passes(suite: &Suite, fault: Fault) {
    suite.create("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let patient = suite.open_with("k", &patient(fault), &metrics).await;
    let context = context(&[("namespace", "a")]);
    let dek = Dek::new([9; 32]);
    let wrapped = patient.wrap(&dek, &context).await.expect("wrapped");

    suite.inject(fault, 1);
    patient.wrap(&dek, &context).await.expect("a second try");
    suite.recover();
    suite.inject(fault, 1);
    let opened = patient.unwrap(&wrapped, &context).await;
    assert_eq!(opened.expect("a second try").expose(), dek.expose());
    suite.recover();
    let retries: u64 = metrics
        .snapshot()
        .iter()
        .filter(|(_, operation, _)| [Operation::Wrap, Operation::Unwrap].contains(operation))
        .map(|(_, _, numbers)| numbers.retries)
        .sum();
    assert!(retries >= 2, "{retries} retries");

    let key = suite.open_with("k", &once(fault), &metrics).await;
    suite.inject(fault, usize::MAX);
    let (wrapping, unwrapping) = (
        kind(key.wrap(&dek, &context).await),
        kind(key.unwrap(&wrapped, &context).await),
    );
    assert_eq!([wrapping, unwrapping], [fault.kind(); 2]);
    assert!(fault.kind().is_transient());
    suite.recover();
    patient.unwrap(&wrapped, &context).await.expect("recovered");
}

/// The default policy, without waits between attempts.
fn patient(fault: Fault) -> CallPolicy {
    CallPolicy::default() // It runs out in the first attempt; the second one has to be answered within it.
        .with_attempt_timeout(match fault {
            Fault::NoAnswer => Duration::from_secs(3),
            _ => GENEROUS,
        })
        .with_total_timeout(2 * GENEROUS)
        .with_base_delay(Duration::from_millis(1))
}

/// One attempt. Only a service that does not answer may reach its time limit.
fn once(fault: Fault) -> CallPolicy {
    CallPolicy::once()
        .with_attempt_timeout(match fault {
            Fault::NoAnswer => Duration::from_millis(300),
            _ => GENEROUS,
        })
        .with_total_timeout(GENEROUS)
}
