//! The lines of requests in the audit log of a server.

use std::sync::Arc;

use http::StatusCode;
use temporal_kms_codec::audit::{self, AuditLog, Event, Receipt, RequestEvent};

use super::strangers::Strangers;
use crate::request_id::RequestId;

/// A line cannot be written, so that its request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
#[non_exhaustive]
pub struct NotAudited;

/// The audit log of a server, where there is one. Cheap to clone.
#[derive(Clone, Default)]
pub struct RequestLog {
    log: Option<Arc<AuditLog>>,
    strangers: Arc<Strangers>,
}

impl RequestLog {
    /// The lines of requests in `log`.
    #[must_use]
    pub fn new(log: Option<Arc<AuditLog>>) -> Self {
        Self {
            log,
            strangers: Arc::default(),
        }
    }

    /// Whether requests have a line.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.log.is_some()
    }

    /// Refuses work while no line can be written.
    ///
    /// # Errors
    /// When the log says that nothing is done without a line.
    pub fn check(&self) -> Result<(), NotAudited> {
        match &self.log {
            Some(log) => log.check().map_err(|_| NotAudited),
            None => Ok(()),
        }
    }

    /// Runs the work of a request. The lines of calls of keys then name it.
    pub async fn within<T>(&self, id: RequestId, work: impl Future<Output = T>) -> T {
        match self.log {
            Some(_) => audit::within(id.to_string(), work).await,
            None => work.await,
        }
    }

    /// Adds the line of a request. `None` without a log, and where the line is only counted: refusals of callers who are not
    /// known must not fill the disk.
    #[must_use]
    pub fn enter(
        &self,
        event: &RequestEvent<'_>,
        result: &'static str,
        is_stranger: bool,
    ) -> Option<Receipt> {
        let log = self.log.as_ref()?;
        if is_stranger {
            self.strangers.record(log, event, result)
        } else {
            Some(log.record(event))
        }
    }

    /// Adds another line.
    #[must_use]
    pub fn record(&self, event: Event) -> Option<Receipt> {
        self.log.as_ref().map(|log| log.record(event))
    }

    /// Adds the line of what was left out, before the log is closed.
    pub fn finish(&self) {
        if let Some(log) = &self.log {
            self.strangers.tell(log);
        }
    }
}

/// Waits until a line is written.
///
/// # Errors
/// When it is not: the answer must not be sent.
pub async fn written(receipt: Option<Receipt>) -> Result<(), NotAudited> {
    match receipt {
        Some(receipt) => receipt.written().await.map_err(|_| NotAudited),
        None => Ok(()),
    }
}

/// How a request ended, in the words of the audit log.
#[must_use]
pub fn result_of(status: StatusCode) -> &'static str {
    match status {
        status if status.is_success() || status.is_redirection() => "ok",
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "not_found",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "bad_request",
        _ => "failed",
    }
}
