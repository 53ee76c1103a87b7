//! The metrics of all calls.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    observer::Outcome,
    operation::{Call, Operation},
    version::VersionUsed,
};
use crate::{KeyUri, ProviderErrorKind};

/// Bounds of the latency's buckets in milliseconds; a KMS call takes 10 to 130 ms.
const BOUNDS_MS: [u64; 12] = [1, 5, 10, 20, 35, 50, 75, 100, 150, 300, 1000, 5000];

/// Outcomes of calls to key management services, by key and operation. Labels hold names only, never key material.
#[derive(Default)]
pub struct KmsMetrics {
    operations: Mutex<BTreeMap<(KeyUri, Operation), OperationMetrics>>,
    sink: OnceLock<Arc<dyn MetricsSink>>,
}

/// Is told of every call as it ends: for programs that export metrics. It cannot refuse a call, as a
/// [`CallObserver`](super::CallObserver) can.
pub trait MetricsSink: Send + Sync {
    /// A call has ended, well or badly, with all its attempts.
    fn ended(&self, call: &MeasuredCall<'_>);

    /// An attempt failed, and another one follows.
    fn retried(&self, operation: Operation, key: &KeyUri);
}

/// A call that has ended, with what metrics need of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct MeasuredCall<'a> {
    /// What was called.
    pub operation: Operation,
    /// The key that the call was for.
    pub key: &'a KeyUri,
    /// How long it took with all its attempts.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// The version of the key that answered, where the service tells it.
    pub version: Option<&'a VersionUsed>,
}

/// The numbers of one operation on one key. All of them only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationMetrics {
    /// Ended calls: successful, failed, and given up by their callers. All attempts of one call count once.
    pub calls: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Failed calls by the kind of their errors.
    pub failures: BTreeMap<ProviderErrorKind, u64>,
    /// Calls that their callers gave up.
    pub given_up: u64,
    /// The total time of all calls.
    pub total_time: Duration,
    /// How many calls took at most how long, by ascending bounds. Each bucket has the calls of those before it, too.
    pub latency: Vec<LatencyBucket>,
}

/// How many calls took at most a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyBucket {
    /// The longest time. `None` in the last bucket, which has all calls.
    pub at_most: Option<Duration>,
    /// How many calls.
    pub calls: u64,
}

impl KmsMetrics {
    /// All current numbers, ordered by key and operation.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(KeyUri, Operation, OperationMetrics)> {
        let operations = self.operations.lock();
        operations
            .iter()
            .map(|((key, operation), metrics)| (key.clone(), *operation, metrics.clone()))
            .collect()
    }

    /// Tells `sink` of every call from now on. A second sink has no effect.
    pub fn set_sink(&self, sink: Arc<dyn MetricsSink>) {
        let _ = self.sink.set(sink);
    }

    pub(super) fn ended(
        &self,
        call: Call<'_>,
        took: Duration,
        outcome: Outcome,
        version: Option<&VersionUsed>,
    ) {
        if let Some(sink) = self.sink.get() {
            sink.ended(&MeasuredCall {
                operation: call.operation,
                key: call.key,
                took,
                outcome,
                version,
            });
        }
        self.update(call, |metrics| {
            metrics.calls += 1;
            metrics.total_time += took;
            if metrics.latency.is_empty() {
                let bounds = BOUNDS_MS.map(Duration::from_millis).map(Some);
                let bounds = bounds.into_iter().chain([None]);
                metrics.latency = bounds
                    .map(|at_most| LatencyBucket { at_most, calls: 0 })
                    .collect();
            }
            for bucket in &mut metrics.latency {
                if bucket.at_most.is_none_or(|at_most| took <= at_most) {
                    bucket.calls += 1;
                }
            }
            match outcome {
                Outcome::Failed(kind) => *metrics.failures.entry(kind).or_default() += 1,
                Outcome::GivenUp => metrics.given_up += 1,
                Outcome::Done | Outcome::NotVerified => {}
            }
        });
    }

    pub(super) fn retried(&self, call: Call<'_>) {
        if let Some(sink) = self.sink.get() {
            sink.retried(call.operation, call.key);
        }
        self.update(call, |metrics| metrics.retries += 1);
    }

    fn update(&self, call: Call<'_>, change: impl FnOnce(&mut OperationMetrics)) {
        let mut operations = self.operations.lock();
        change(
            operations
                .entry((call.key.clone(), call.operation))
                .or_default(),
        );
    }
}

/// A call that is counted when it ends, also when its caller gives it up.
pub(super) struct Counted<'a> {
    metrics: Option<&'a KmsMetrics>,
    call: Call<'a>,
    started: Instant,
}

impl<'a> Counted<'a> {
    pub(super) fn begin(metrics: &'a KmsMetrics, call: Call<'a>) -> Self {
        Self {
            metrics: Some(metrics),
            call,
            started: Instant::now(),
        }
    }

    pub(super) fn end(mut self, outcome: Outcome, version: Option<&VersionUsed>) {
        self.count(outcome, version);
    }

    fn count(&mut self, outcome: Outcome, version: Option<&VersionUsed>) {
        if let Some(metrics) = self.metrics.take() {
            metrics.ended(self.call, self.started.elapsed(), outcome, version);
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count(Outcome::GivenUp, None);
    }
}

impl fmt::Debug for KmsMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsMetrics")
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}
