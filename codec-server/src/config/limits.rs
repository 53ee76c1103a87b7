//! `[limits]`: what one caller, and one namespace, may take of the server.

use std::num::NonZeroU32;

use temporal_kms_codec_service::settings::{Section, values};

/// Limits for each caller and each namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `caller_…`: for each authenticated caller.
    pub caller: ShareLimits,
    /// `namespace_…`: for each namespace.
    pub namespace: ShareLimits,
}

/// The limits of one caller or one namespace. `None`: only the limits of the whole server hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareLimits {
    /// `…_requests`: requests at the same time, with those whose bodies arrive. Others wait for a second.
    pub concurrent: Option<usize>,
    /// `…_rate`: requests in a second, in the long run.
    pub rate: Option<NonZeroU32>,
    /// `…_burst`: requests at once after a pause. Default: the rate.
    pub burst: Option<NonZeroU32>,
}

impl LimitsConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let limits = Self {
            caller: ShareLimits {
                concurrent: section.value("caller_requests", values::permits),
                rate: section.value("caller_rate", number),
                burst: section.value("caller_burst", number),
            },
            namespace: ShareLimits {
                concurrent: section.value("namespace_requests", values::permits),
                rate: section.value("namespace_rate", number),
                burst: section.value("namespace_burst", number),
            },
        };
        for (name, share) in [("caller", &limits.caller), ("namespace", &limits.namespace)] {
            if share.burst.is_some() && share.rate.is_none() {
                section.report(format!(
                    "`{name}_burst` has no effect without `{name}_rate`; set both"
                ));
            }
        }
        section.finish();
        limits
    }
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().map_err(|_| ());
    number.map_err(|()| format!("expected a whole number from 1 to {}", u32::MAX))
}
