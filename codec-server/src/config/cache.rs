//! `[cache]`: unwrapped data keys that are kept for decoding, for each namespace.

use temporal_kms_codec::CacheLimits;

use super::{section::Section, server::set, values};

/// `data_keys`: how many. `ttl`: for how long; afterwards the KMS is asked again. What is not set is as in `cache`.
pub(super) fn read(mut section: Section<'_>, mut cache: CacheLimits) -> CacheLimits {
    set(
        &mut cache.max_keys,
        section.value("data_keys", values::count),
    );
    set(&mut cache.ttl, section.value("ttl", values::timeout));
    section.finish();
    cache
}
