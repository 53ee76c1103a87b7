//! The counters of requests.
//!
//! A request adds to several counters with the same labels. A counter of the library looks its labels up each time, which takes
//! as long as decrypting a small payload. So the numbers are kept here, found once for each request, and read when the metrics
//! are read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use opentelemetry::{KeyValue, StringValue};
use parking_lot::RwLock;

use super::{
    catalogue::{MetricInfo, PAYLOADS, REQUEST_BODY, REQUESTS, RESPONSE_BODY},
    ended_request::EndedRequest,
    instruments::{Instruments, Seen},
};

/// The results of requests.
const RESULTS: [&str; 10] = [
    "ok",
    "unauthenticated",
    "forbidden",
    "not_found",
    "timeout",
    "too_large",
    "busy",
    "invalid",
    "unavailable",
    "error",
];
/// What became of payloads.
const OUTCOMES: [&str; 4] = ["encoded", "decoded", "placeholder", "reference"];

/// The numbers of all requests, by operation.
#[derive(Debug, Default)]
pub(super) struct RequestCounts(RwLock<BTreeMap<&'static str, Namespaces>>);

/// The numbers of one operation, by the label of the namespace.
type Namespaces = BTreeMap<Arc<str>, Arc<Counts>>;

/// The numbers of one operation in one namespace.
#[derive(Debug, Default)]
struct Counts {
    results: [AtomicU64; RESULTS.len()],
    /// Whether the result `ok`, and the payloads that it has, are shown before there is one.
    shows_zero: AtomicBool,
    /// Whether the numbers below are shown.
    is_operation: AtomicBool,
    body: AtomicU64,
    answer: AtomicU64,
    payloads: [AtomicU64; OUTCOMES.len()],
}

/// One of the numbers.
type Number = fn(&Counts) -> &AtomicU64;

impl RequestCounts {
    /// Has the metrics read these numbers.
    pub(super) fn register(self: &Arc<Self>, instruments: &Instruments<'_>) {
        let counts = Arc::clone(self);
        instruments.read_counter(&REQUESTS, move |seen| {
            counts.each(|_, counts, labels| {
                let ok = counts.shows_zero.load(Relaxed).then_some("ok");
                show(seen, labels, "result", (&RESULTS, &counts.results), ok);
            });
        });
        let counts = Arc::clone(self);
        instruments.read_counter(&PAYLOADS, move |seen| {
            counts.each(|operation, counts, labels| {
                let zero = counts.shows_zero.load(Relaxed);
                let zero = zero.then(|| done(operation));
                show(seen, labels, "outcome", (&OUTCOMES, &counts.payloads), zero);
            });
        });
        let numbers: [(&MetricInfo, Number); 2] = [
            (&REQUEST_BODY, |counts| &counts.body),
            (&RESPONSE_BODY, |counts| &counts.answer),
        ];
        for (metric, number) in numbers {
            let counts = Arc::clone(self);
            instruments.read_counter(metric, move |seen| {
                counts.each(|_, counts, labels| {
                    if counts.is_operation.load(Relaxed) {
                        seen.set(number(counts).load(Relaxed), labels);
                    }
                });
            });
        }
    }

    /// Shows that no request of an operation has succeeded yet: alerts compare with the time before the first one.
    pub(super) fn show_zero(&self, operation: &'static str, namespace: &str) {
        let counts = self.of(operation, namespace);
        counts.shows_zero.store(true, Relaxed);
    }

    /// Adds a request whose namespace has this label.
    pub(super) fn add(&self, request: &EndedRequest<'_>, namespace: &str) {
        let counts = self.of(request.operation.unwrap_or("none"), namespace);
        add(&RESULTS, &counts.results, result(request.status), 1);
        let Some(operation) = request.operation else {
            return;
        };
        counts.is_operation.store(true, Relaxed);
        counts.body.fetch_add(request.body as u64, Relaxed);
        counts.answer.fetch_add(request.answer as u64, Relaxed);
        let special = request.placeholders + request.references;
        for (outcome, payloads) in [
            (done(operation), request.payloads.saturating_sub(special)),
            ("placeholder", request.placeholders),
            ("reference", request.references),
        ] {
            add(&OUTCOMES, &counts.payloads, outcome, payloads as u64);
        }
    }

    fn of(&self, operation: &'static str, namespace: &str) -> Arc<Counts> {
        let known = self.0.read();
        let found = known.get(operation).and_then(|all| all.get(namespace));
        if let Some(found) = found {
            return Arc::clone(found);
        }
        drop(known);
        let mut known = self.0.write();
        let all = known.entry(operation).or_default();
        Arc::clone(all.entry(namespace.into()).or_default())
    }

    fn each(&self, mut read: impl FnMut(&'static str, &Counts, &[KeyValue])) {
        for (operation, namespaces) in &*self.0.read() {
            for (namespace, counts) in namespaces {
                let label = KeyValue::new("operation", *operation);
                let namespace = StringValue::from(Arc::clone(namespace));
                let namespace = KeyValue::new("namespace", namespace);
                read(operation, counts, &[label, namespace]);
            }
        }
    }
}

/// What becomes of a payload that an operation succeeds with.
fn done(operation: &str) -> &'static str {
    match operation {
        "encode" => "encoded",
        _ => "decoded",
    }
}

/// Adds to the number that is called `name`.
fn add(names: &[&str], numbers: &[AtomicU64], name: &str, more: u64) {
    let mut all = names.iter().zip(numbers);
    if let Some((_, number)) = all.find(|(known, _)| **known == name) {
        number.fetch_add(more, Relaxed);
    }
}

/// Shows the numbers that are not 0, and the one that is called `zero`.
fn show(
    seen: &Seen<'_, u64>,
    labels: &[KeyValue],
    label: &'static str,
    (names, numbers): (&[&'static str], &[AtomicU64]),
    zero: Option<&str>,
) {
    for (name, number) in names.iter().zip(numbers) {
        let number = number.load(Relaxed);
        if number > 0 || zero == Some(*name) {
            let last = KeyValue::new(label, *name);
            seen.set(number, &[labels, &[last]].concat());
        }
    }
}

/// The result of a request by its status. Statuses that differ in detail only have one result.
fn result(status: u16) -> &'static str {
    match status {
        200..=399 => "ok",
        401 => "unauthenticated",
        403 => "forbidden",
        404 | 405 => "not_found",
        408 => "timeout",
        413 | 431 => "too_large",
        429 => "busy",
        400..=499 => "invalid",
        503 => "unavailable",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_a_number() {
        for status in 0..=u16::MAX {
            assert!(RESULTS.contains(&result(status)), "{status}");
        }
        let counts = RequestCounts::default();
        for (status, operation) in [(200, Some("encode")), (200, Some("encode")), (404, None)] {
            let request = EndedRequest {
                operation,
                status,
                payloads: 3,
                placeholders: 1,
                body: 10,
                answer: 20,
                ..EndedRequest::default()
            };
            counts.add(&request, "prod");
        }
        let read = |numbers: &[AtomicU64]| -> Vec<u64> {
            numbers.iter().map(|number| number.load(Relaxed)).collect()
        };
        let encode = counts.of("encode", "prod");
        assert_eq!(read(&encode.results), [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&encode.payloads), [4, 0, 2, 0]);
        assert_eq!(encode.body.load(Relaxed), 20);
        assert_eq!(encode.answer.load(Relaxed), 40);
        let none = counts.of("none", "prod");
        assert_eq!(read(&none.results), [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&none.payloads), [0; 4]);
        assert!(!none.is_operation.load(Relaxed));
    }
}
