//! Counters of what a codec does.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The data keys of a [`Codec`](crate::Codec) that are in memory at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataKeyState {
    /// Data keys that are kept for decoding.
    pub cached: usize,
    /// The age of the data key that seals; `None` before the first payload is sealed.
    pub sealing_age: Option<Duration>,
}

/// What a [`Codec`](crate::Codec) has done since it was built. Every number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Payloads encrypted.
    pub sealed: u64,
    /// Payloads decrypted.
    pub opened: u64,
    /// Payloads that `decode` returned as they were, because they were not encrypted.
    pub passed_through: u64,
    /// Payloads that could not be decoded, or encoded.
    pub rejected: u64,
    /// Calls that made a key provider wrap a data key, one for each recipient.
    pub wraps: u64,
    /// Calls that made a key provider unwrap a data key.
    pub unwraps: u64,
    /// Calls that made a key provider unwrap a fresh data key, to see that it can be unwrapped: one for each recipient.
    pub verifications: u64,
    /// Payloads in direct mode, each a call of the provider.
    pub direct_calls: u64,
    /// Payloads that direct mode sealed in an envelope because they exceed the provider's limit.
    pub direct_fallbacks: u64,
    /// Envelopes whose data key was known already.
    pub dek_cache_hits: u64,
    /// Envelopes whose data key had to be unwrapped, or was being unwrapped for another one.
    pub dek_cache_misses: u64,
    /// Data keys that left the cache before their time, because others needed the room. When it grows steadily, keep more
    /// data keys.
    pub dek_cache_evictions: u64,
    /// Payloads that were refused without a call, because the key provider had refused the same one lately.
    pub refusal_cache_hits: u64,
    /// Payloads that were refused without a call, because too many payloads beside them could not be opened.
    pub not_tried: u64,
    /// Data keys made.
    pub dek_renewals: u64,
    /// Attempts at a new data key that failed.
    pub dek_renewal_failures: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The running numbers behind [`Stats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter),*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Relaxed)),* }
            }
        }
    };
}

counters!(
    sealed,
    opened,
    passed_through,
    rejected,
    wraps,
    unwraps,
    verifications,
    direct_calls,
    direct_fallbacks,
    dek_cache_hits,
    dek_cache_misses,
    dek_cache_evictions,
    refusal_cache_hits,
    not_tried,
    dek_renewals,
    dek_renewal_failures,
);

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Relaxed);
    }
}
