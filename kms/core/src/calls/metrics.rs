//! The metrics of all calls.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use super::operation::{Call, Operation};
use crate::{KeyUri, ProviderErrorKind};

/// Upper bounds of the latency histogram's buckets in milliseconds; a KMS call takes 10 to 130 ms.
const BUCKETS_MS: [u64; 12] = [1, 5, 10, 20, 35, 50, 75, 100, 150, 300, 1000, 5000];

/// Outcomes of calls to key management services, by key and operation. Labels hold names only, never key material.
#[derive(Debug, Default)]
pub struct KmsMetrics {
    operations: Mutex<BTreeMap<(KeyUri, Operation), OperationMetrics>>,
}

/// The numbers of one operation on one key. All of them only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationMetrics {
    /// Finished calls, successful or not. All attempts of one call count once.
    pub calls: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Failed calls by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// The total time of all calls.
    pub total_time: Duration,
    /// How many calls took at most this many milliseconds, by ascending bounds. `None` is the last bucket, without
    /// bound.
    pub latency: Vec<(Option<u64>, u64)>,
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

    pub(super) fn ended(&self, call: Call<'_>, took: Duration, error: Option<ProviderErrorKind>) {
        self.update(call, |metrics| {
            metrics.calls += 1;
            metrics.total_time += took;
            if metrics.latency.is_empty() {
                let bounds = BUCKETS_MS.into_iter().map(Some).chain([None]);
                metrics.latency = bounds.map(|bound| (bound, 0)).collect();
            }
            let millis = took.as_millis();
            for (bound, count) in &mut metrics.latency {
                if bound.is_none_or(|bound| millis <= u128::from(bound)) {
                    *count += 1;
                }
            }
            if let Some(kind) = error {
                *metrics.errors.entry(kind.as_str()).or_default() += 1;
            }
        });
    }

    pub(super) fn retried(&self, call: Call<'_>) {
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
