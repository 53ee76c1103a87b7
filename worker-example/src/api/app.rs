//! The state that all requests share.

use std::{sync::Arc, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    auth::{Authenticator, CallerId},
    lifecycle::Readiness,
    shares::Shares,
    telemetry::Metrics,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{client::TaskClient, task::RequestRules};

/// Requests that are open at the same time, with streams.
pub(super) const MAX_OPEN: usize = 2000;

/// The state that all requests share.
pub(super) struct App {
    pub(super) authenticator: Authenticator,
    pub(super) namespace: Namespace,
    /// Whether only programs of this machine call, without authentication.
    pub(super) is_local: bool,
    pub(super) client: TaskClient,
    pub(super) rules: RequestRules,
    pub(super) callers: Shares<CallerId>,
    pub(super) open: Arc<Semaphore>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when the server stops. Streams then end, and their tasks continue.
    pub(super) stop: CancellationToken,
}

/// A time as JavaScript writes it: `2026-11-26T12:00:00.000Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
