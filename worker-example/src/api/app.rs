//! The state that all requests share.

use std::{sync::Arc, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::RwLock;
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    audit::RequestLog,
    lifecycle::Readiness,
    telemetry::{Metrics, ShedReason},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{error::ApiError, live::Live};
use crate::client::TaskClient;

/// Requests that are open at the same time, with streams.
pub(super) const MAX_OPEN: usize = 2000;
/// Logs that are read at the same time. Each has a chunk of the log in memory.
const MAX_LOGS: usize = 16;

/// The state that all requests share.
pub(super) struct App {
    /// What a reload of the configuration replaces.
    live: RwLock<Arc<Live>>,
    pub(super) namespace: Namespace,
    pub(super) client: TaskClient,
    pub(super) audit: RequestLog,
    pub(super) open: Arc<Semaphore>,
    pub(super) logs: Arc<Semaphore>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when the server stops. Streams then end, and their tasks continue.
    pub(super) stop: CancellationToken,
}

impl App {
    pub(super) fn new(
        live: Live,
        namespace: Namespace,
        client: TaskClient,
        audit: RequestLog,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            live: RwLock::new(Arc::new(live)),
            namespace,
            client,
            audit,
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            logs: Arc::new(Semaphore::new(MAX_LOGS)),
            readiness: Readiness::new(),
            metrics,
            stop: CancellationToken::new(),
        }
    }

    /// Takes one of these places.
    ///
    /// # Errors
    /// When all are taken.
    pub(super) fn take(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(places).try_acquire_owned().map_err(|_| {
            self.metrics.requests().shed(ShedReason::Concurrency);
            ApiError::Overloaded
        })
    }

    /// The configuration that is served.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Serves another configuration. Requests in flight go on with the one before.
    pub(super) fn replace(&self, live: Live) {
        *self.live.write() = Arc::new(live);
    }
}

/// A time as JavaScript writes it: `2026-11-26T12:00:00.000Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
