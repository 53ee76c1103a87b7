//! The state that all requests share.

use std::{sync::Arc, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::RwLock;
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    audit::RequestLog,
    auth::CallerId,
    lifecycle::Readiness,
    shares::Exceeded,
    telemetry::{Metrics, ShedReason},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    departures::Departures,
    error::ApiError,
    live::Live,
    log_places::{LogPlace, LogPlaces, NoPlace},
};
use crate::client::TaskClient;

/// Requests that are open at the same time, with streams.
const MAX_OPEN: u16 = 2000;

/// The state that all requests share.
pub(super) struct App {
    /// What a reload of the configuration replaces.
    live: RwLock<Arc<Live>>,
    pub(super) namespace: Namespace,
    pub(super) client: TaskClient,
    pub(super) audit: RequestLog,
    /// Whether the workers of this process, if it has some, can sign webhooks.
    own_workers_call_back: bool,
    /// The places of open requests.
    open: Arc<Semaphore>,
    pub(super) departures: Arc<Departures>,
    logs: LogPlaces,
    /// The places of streams that read logs.
    pub(super) streams: Arc<LogPlaces>,
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
        own_workers_call_back: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            live: RwLock::new(Arc::new(live)),
            namespace,
            client,
            audit,
            own_workers_call_back,
            open: Arc::new(Semaphore::new(MAX_OPEN.into())),
            departures: Arc::new(Departures::new()),
            logs: LogPlaces::new(),
            streams: Arc::new(LogPlaces::new()),
            readiness: Readiness::new(),
            metrics,
            stop: CancellationToken::new(),
        }
    }

    /// Takes a place for a request.
    ///
    /// # Errors
    /// When too many requests are open.
    pub(super) fn open(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Arc::clone(&self.open).try_acquire_owned();
        place.map_err(|_| self.overloaded())
    }

    /// Takes a place for a chunk of a log that is not streamed.
    ///
    /// # Errors
    /// When too many logs are read, by all or by this caller.
    pub(super) async fn open_log(&self, caller: Option<&CallerId>) -> Result<LogPlace, ApiError> {
        let taken = self.logs.take(caller).await;
        taken.map_err(|none| match none {
            NoPlace::OfCaller(exceeded) => self.exceeded(exceeded),
            NoPlace::AtAll => self.overloaded(),
        })
    }

    /// The refusal of a caller with too many requests.
    pub(super) fn exceeded(&self, exceeded: Exceeded) -> ApiError {
        self.metrics.requests().shed(ShedReason::RateLimit);
        ApiError::TooMany {
            wait: exceeded.wait,
        }
    }

    fn overloaded(&self) -> ApiError {
        self.metrics.requests().shed(ShedReason::Concurrency);
        ApiError::Overloaded
    }

    /// Waits until no request is open, and Temporal knows of all clients that have left.
    pub(super) async fn until_idle(&self) {
        // This cannot fail: nothing closes the semaphore.
        let _ = self.open.acquire_many(MAX_OPEN.into()).await;
        self.departures.until_told().await;
    }

    /// Whether webhooks can be sent, as far as this process and the operator know.
    pub(super) fn can_call_back(&self) -> bool {
        let configured = self.live().config.webhooks;
        configured.unwrap_or(self.own_workers_call_back)
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
