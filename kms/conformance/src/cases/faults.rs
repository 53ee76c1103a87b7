//! Failures of the service: a fault that ends is survived, and one that lasts is reported as what it is.

use std::{sync::Arc, time::Duration};

use temporal_kms::{CallPolicy, Dek, KmsMetrics, Operation, ProviderErrorKind as Kind};

use crate::{
    Fault,
    suite::{Suite, context, kind},
};

/// Longer than any answer takes, on the slowest machine.
const GENEROUS: Duration = Duration::from_secs(30);

/// A missing permission is reported as one, and the call is not repeated.
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

/// A service that limits the rate of calls.
pub async fn throttling(suite: &Suite) {
    passes(suite, Fault::Throttled).await;
}

/// A service that does not answer.
pub async fn slow_server(suite: &Suite) {
    passes(suite, Fault::NoAnswer).await;
}

/// A service that closes connections.
pub async fn dead_server(suite: &Suite) {
    passes(suite, Fault::ConnectionLost).await;
}

/// Answers that are not the service's.
pub async fn garbage_answers(suite: &Suite) {
    passes(suite, Fault::Garbage).await;
}

/// Answers that were altered on their way.
pub async fn damaged_answers(suite: &Suite) {
    passes(suite, Fault::Damaged).await;
}

/// After failures in a row, calls fail without being made until the pause is over.
pub async fn a_breaker_spares_a_dead_service(suite: &Suite) {
    suite.create("k").await;
    let metrics = Arc::new(KmsMetrics::default());
    let policy = CallPolicy {
        breaker_failures: 2,
        breaker_pause: Duration::from_hours(1),
        ..once(Fault::ConnectionLost)
    };
    let key = suite.open_with("k", &policy, &metrics).await;
    let context = context(&[("namespace", "a")]);
    suite.inject(Fault::ConnectionLost, 2);
    for _ in 0..2 {
        assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    }
    // The service answers again, and is not asked before the pause is over.
    assert_eq!(kind(key.generate_dek(&context).await), Kind::Unavailable);
    suite.recover();
    let another = suite.open("k").await;
    another.generate_dek(&context).await.expect("it answers");
}

/// A fault that ends is survived, and one that does not fails as what it is.
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
    CallPolicy {
        attempt_timeout: match fault {
            // It runs out in the first attempt; the second one has to be answered within it.
            Fault::NoAnswer => Duration::from_secs(3),
            _ => GENEROUS,
        },
        total_timeout: 2 * GENEROUS,
        base_delay: Duration::from_millis(1),
        ..CallPolicy::default()
    }
}

/// One attempt. Only a service that does not answer may run into its end.
fn once(fault: Fault) -> CallPolicy {
    CallPolicy {
        attempt_timeout: match fault {
            Fault::NoAnswer => Duration::from_millis(300),
            _ => GENEROUS,
        },
        total_timeout: GENEROUS,
        ..CallPolicy::once()
    }
}
