//! The metrics of data keys and of what codecs refuse. They are read from the codecs when an operator asks for them.

use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use parking_lot::RwLock;
use temporal_kms_codec::{DataKeyState, Stats};

use super::{
    catalogue::{
        CACHE_ENTRIES, CACHE_EVICTIONS, CACHE_HITS, CACHE_MISSES, DATA_KEY_AGE, DATA_KEY_FAILURES,
        DATA_KEYS_MADE, MetricInfo, PAYLOADS_NOT_TRIED, PAYLOADS_REJECTED, PAYLOADS_UNENCRYPTED,
    },
    instruments::Instruments,
    labels::Labels,
};
use crate::namespaces::Namespaces;

/// The namespaces whose codecs are read. Metrics keep no codec alive, because its data keys would live on.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Arc<RwLock<Weak<Namespaces>>>);

impl Watched {
    pub(super) fn set(&self, namespaces: &Arc<Namespaces>) {
        *self.0.write() = Arc::downgrade(namespaces);
    }

    fn each(&self, labels: &Labels, mut read: impl FnMut(&Stats, &DataKeyState, &[KeyValue])) {
        let Some(namespaces) = self.0.read().upgrade() else {
            return;
        };
        for (namespace, stats, data_keys) in namespaces.activity() {
            let namespace = labels.namespace(Some(&namespace));
            read(&stats, &data_keys, &[KeyValue::new("namespace", namespace)]);
        }
    }
}

/// A counter, and where its number comes from.
type CounterOf = (MetricInfo, fn(&Stats) -> u64);

/// The counters of a codec that are exported.
const COUNTERS: [CounterOf; 8] = [
    (DATA_KEYS_MADE, |stats| stats.dek_renewals),
    (DATA_KEY_FAILURES, |stats| stats.dek_renewal_failures),
    (CACHE_HITS, |stats| stats.dek_cache_hits),
    (CACHE_MISSES, |stats| stats.dek_cache_misses),
    (CACHE_EVICTIONS, |stats| stats.dek_cache_evictions),
    (PAYLOADS_REJECTED, |stats| stats.rejected),
    (PAYLOADS_NOT_TRIED, |stats| stats.not_tried),
    (PAYLOADS_UNENCRYPTED, |stats| stats.passed_through),
];

/// Reads the codecs of `watched` whenever the metrics are read.
pub(super) fn register(instruments: &Instruments<'_>, labels: &Arc<Labels>, watched: &Watched) {
    for (metric, count) in COUNTERS {
        let (watched, labels) = (watched.clone(), Arc::clone(labels));
        instruments.read_counter(&metric, move |seen| {
            watched.each(&labels, |stats, _, namespace| {
                seen.set(count(stats), namespace);
            });
        });
    }
    let (of_age, known) = (watched.clone(), Arc::clone(labels));
    instruments.gauge(&DATA_KEY_AGE, move |seen| {
        of_age.each(&known, |_, data_keys, namespace| {
            if let Some(age) = data_keys.sealing_age {
                seen.set(age.as_secs_f64(), namespace);
            }
        });
    });
    let (of_entries, known) = (watched.clone(), Arc::clone(labels));
    instruments.gauge(&CACHE_ENTRIES, move |seen| {
        of_entries.each(&known, |_, data_keys, namespace| {
            let entries = u32::try_from(data_keys.cached);
            seen.set(entries.unwrap_or(u32::MAX).into(), namespace);
        });
    });
}
