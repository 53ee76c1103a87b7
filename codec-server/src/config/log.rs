//! `[log]`: what is logged.

use temporal_kms_codec_service::{
    log::LogLevel,
    settings::{Section, values},
};

/// What the server logs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogConfig {
    /// `level`: such as `debug`, or `info,temporal_kms=debug`. A reload changes it. `RUST_LOG` decides where it is set.
    /// Default: `info`.
    pub level: Option<LogLevel>,
}

impl LogConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let level = section.value("level", values::any);
        section.finish();
        Self { level }
    }
}
