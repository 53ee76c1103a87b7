//! The lines of requests in the audit log of a server.

use std::sync::Arc;

use http::StatusCode;
use temporal_kms_codec::audit::{self, AuditLog, Decision, Event, Receipt, RequestEvent};

use super::refusals::Refusals;
use crate::request_id::RequestId;

/// A line cannot be written, so that its request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
#[non_exhaustive]
pub struct NotAudited;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    status: u16,
    result: &'static str,
}

impl Ending {
    /// The request was given up before its answer: its client is gone, or the server stops. Some proxies log this status as
    /// "client closed request". It is never sent.
    pub const GIVEN_UP: Self = Self {
        status: 499,
        result: "given_up",
    };

    /// The request was answered.
    #[must_use]
    pub fn answered(status: StatusCode) -> Self {
        Self {
            status: status.as_u16(),
            result: result_of(status),
        }
    }

    /// Whether the caller may not do this, or is not known.
    fn is_refused(self) -> bool {
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status(self.status))
    }
}

/// The audit log of a server, where there is one. Cheap to clone.
#[derive(Clone, Default)]
pub struct RequestLog {
    log: Option<Arc<AuditLog>>,
    refusals: Arc<Refusals>,
}

impl RequestLog {
    /// The lines of requests in `log`.
    #[must_use]
    pub fn new(log: Option<Arc<AuditLog>>) -> Self {
        Self {
            log,
            refusals: Arc::default(),
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

    /// Adds the line of a request. `is_allowed` says whether the caller may do what it asks for.
    ///
    /// `None` without a log, for a request for nothing of this server, and where the line is only counted: a refusal costs its
    /// caller nothing, so refusals must not fill the disk.
    #[must_use]
    pub fn enter(
        &self,
        mut event: RequestEvent<'_>,
        is_allowed: bool,
        ending: Ending,
    ) -> Option<Receipt> {
        let log = self.log.as_ref()?;
        if event.operation.is_none() && !ending.is_refused() {
            return None;
        }
        event.decision = if is_allowed && !ending.is_refused() {
            Decision::Allowed
        } else {
            Decision::Refused
        };
        (event.status, event.result) = (ending.status, ending.result);
        if is_refusal(&event) {
            self.refusals.record(log, &event, ending.result)
        } else {
            Some(log.record(&event))
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
            self.refusals.tell(log);
        }
    }
}

/// Whether a rule or a limit has refused the request. A token without a role is enough to cause any number of these.
fn is_refusal(event: &RequestEvent<'_>) -> bool {
    let status = status(event.status);
    let is_refused = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::TOO_MANY_REQUESTS,
    ]
    .contains(&status);
    is_refused || (event.decision == Decision::Refused && !status.is_success())
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_limited_and_work_is_not() {
        for (decision, status, expected) in [
            (Decision::Refused, 401, true),
            (Decision::Refused, 403, true),
            (Decision::Refused, 404, true),
            (Decision::Refused, 499, true),
            (Decision::Refused, 503, true),
            // The caller may do this, and does it too often.
            (Decision::Allowed, 429, true),
            (Decision::Allowed, 200, false),
            (Decision::Allowed, 400, false),
            (Decision::Allowed, 499, false),
            (Decision::Allowed, 503, false),
            (Decision::Refused, 200, false),
        ] {
            for subject in [None, Some("ann")] {
                let mut event = RequestEvent::default();
                event.decision = decision;
                event.status = status;
                event.subject = subject;
                assert_eq!(is_refusal(&event), expected, "{event:?}");
            }
        }
    }
}
