//! Limits of one namespace, beside those of the whole server.

use std::num::NonZeroU32;

use crate::settings::{Section, values};

/// Limits of the requests for one namespace. Where one is not set, that of the server counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceLimits {
    /// `max_body`: bytes of one request. It has an effect below the server's limit only.
    pub max_body: Option<usize>,
    /// `max_payloads`: payloads of one request. It has an effect below the server's limit only.
    pub max_payloads: Option<usize>,
    /// `max_requests`: requests at the same time.
    pub max_requests: Option<usize>,
    /// `max_rate`: requests in a second, in the long run.
    pub max_rate: Option<NonZeroU32>,
    /// `max_burst`: requests at once after a pause. Default: the rate.
    pub max_burst: Option<NonZeroU32>,
}

impl NamespaceLimits {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let limits = Self {
            max_body: section.value("max_body", values::bytes),
            max_payloads: section.value("max_payloads", values::count),
            max_requests: section.value("max_requests", values::permits),
            max_rate: section.value("max_rate", number),
            max_burst: section.value("max_burst", number),
        };
        if limits.max_burst.is_some() && !section.holds("max_rate") {
            section.report("`max_burst` has no effect without `max_rate`; set both");
        }
        limits
    }
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number from 1 to {}", u32::MAX))
}
