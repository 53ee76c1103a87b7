//! The metrics of the calls of key services.

use std::sync::{Arc, Weak};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use parking_lot::Mutex;
use temporal_kms_codec::{
    KeyUri,
    kms::{MeasuredCall, MetricsSink, Operation, Outcome, ProviderErrorKind, VersionUsed},
};

use super::{
    catalogue::{KMS_CALL_DURATION, KMS_CALLS, KMS_KEY_VERSION_USES, KMS_RETRIES},
    instruments::Instruments,
    labels::Labels,
};
use crate::lifecycle::Readiness;

/// Counts the calls of key services.
#[derive(Debug)]
pub(super) struct KmsCallMetrics {
    labels: Arc<Labels>,
    calls: Counter<u64>,
    duration: Histogram<f64>,
    retries: Counter<u64>,
    versions: Counter<u64>,
    readiness: Mutex<Weak<Readiness>>,
}

impl KmsCallMetrics {
    pub(super) fn new(instruments: &Instruments<'_>, labels: &Arc<Labels>) -> Self {
        Self {
            labels: Arc::clone(labels),
            calls: instruments.counter(&KMS_CALLS),
            duration: instruments.latency(&KMS_CALL_DURATION),
            retries: instruments.counter(&KMS_RETRIES),
            versions: instruments.counter(&KMS_KEY_VERSION_USES),
            readiness: Mutex::default(),
        }
    }

    /// Tells `readiness` of every call from now on.
    pub(super) fn tell(&self, readiness: &Arc<Readiness>) {
        *self.readiness.lock() = Arc::downgrade(readiness);
    }

    /// Shows what has not happened yet as 0, so that the first time is an increase.
    pub(super) fn show_zeros(&self) {
        let denied = ProviderErrorKind::PermissionDenied.as_str();
        let unavailable = ProviderErrorKind::Unavailable.as_str();
        for key in self.labels.keys() {
            for operation in [Operation::Wrap, Operation::Unwrap] {
                for result in ["ok", denied, unavailable] {
                    self.calls.add(
                        0,
                        &[
                            KeyValue::new("operation", operation.as_str()),
                            KeyValue::new("key", key.clone()),
                            KeyValue::new("result", result),
                        ],
                    );
                }
            }
        }
    }

    fn call(&self, operation: Operation, key: &KeyUri) -> [KeyValue; 2] {
        [
            KeyValue::new("operation", operation.as_str()),
            KeyValue::new("key", self.labels.key(key)),
        ]
    }

    fn count_version(&self, call: [KeyValue; 2], key: &KeyUri, used: &VersionUsed) {
        let [operation, name] = call;
        let version = self.labels.version(key, used.version.as_deref());
        let primary = match used.primary {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        self.versions.add(
            1,
            &[
                operation,
                name,
                KeyValue::new("version", version),
                KeyValue::new("primary", primary),
            ],
        );
    }
}

impl MetricsSink for KmsCallMetrics {
    fn ended(&self, call: &MeasuredCall<'_>) {
        let readiness = self.readiness.lock().upgrade();
        if let Some(readiness) = readiness {
            readiness.ended(call);
        }
        let labels = self.call(call.operation, call.key);
        self.duration.record(call.took.as_secs_f64(), &labels);
        if let Some(version) = call.version {
            self.count_version(labels.clone(), call.key, version);
        }
        let [operation, key] = labels;
        let result = match call.outcome {
            // The service answered as it should.
            Outcome::NotVerified => Outcome::Done,
            outcome => outcome,
        };
        let result = KeyValue::new("result", result.as_str());
        self.calls.add(1, &[operation, key, result]);
    }

    fn retried(&self, operation: Operation, key: &KeyUri) {
        self.retries.add(1, &self.call(operation, key));
    }
}
