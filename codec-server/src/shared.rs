//! What stays the same while the configuration of a running server changes.

use std::sync::Arc;

use temporal_kms_codec::audit::AuditLog;
use temporal_kms_codec_service::{lifecycle::Readiness, telemetry::Metrics};

/// What stays the same while the configuration of a running server changes.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) audit: Option<Arc<AuditLog>>,
}
