//! `[limits]`: what one caller, and one namespace, may take of the server.

pub use temporal_kms_codec_service::shares::ShareLimits;

use temporal_kms_codec_service::settings::Section;

/// Limits for each caller and each namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `caller_…`: for each authenticated caller.
    pub caller: ShareLimits,
    /// `namespace_…`: for each namespace.
    pub namespace: ShareLimits,
}

impl LimitsConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let limits = Self {
            caller: ShareLimits::read(
                &mut section,
                "caller_requests",
                "caller_rate",
                "caller_burst",
            ),
            namespace: ShareLimits::read(
                &mut section,
                "namespace_requests",
                "namespace_rate",
                "namespace_burst",
            ),
        };
        section.finish();
        limits
    }
}
