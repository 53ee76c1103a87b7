//! The audit log's lines of requests and logins.

mod strangers;

use std::sync::Arc;

use http::StatusCode;
use temporal_kms_codec::audit::{self, AuditLog, Decision, Event, Receipt, RequestEvent};
use temporal_kms_codec_service::listener::Peer;

use self::strangers::Strangers;

use super::{log::Summary, request_error::RequestError, request_id::RequestId};

/// What some proxies log as "client closed request". It is never sent.
const GIVEN_UP: u16 = 499;

/// The audit log, where there is one.
#[derive(Clone, Default)]
pub(super) struct Log {
    log: Option<Arc<AuditLog>>,
    strangers: Arc<Strangers>,
}

impl Log {
    pub(super) fn new(log: Option<Arc<AuditLog>>) -> Self {
        Self {
            log,
            strangers: Arc::default(),
        }
    }

    /// Whether requests have a line.
    pub(super) fn is_kept(&self) -> bool {
        self.log.is_some()
    }

    /// Adds the line of what was left out, before the log is closed.
    pub(super) fn finish(&self) {
        if let Some(log) = &self.log {
            self.strangers.tell(log);
        }
    }
}

/// Refuses work while no line can be written.
pub(super) fn check(log: &Log) -> Result<(), RequestError> {
    match &log.log {
        Some(log) => log.check().map_err(|_| RequestError::NotAudited),
        None => Ok(()),
    }
}

/// Runs the work of a request. The lines of calls of keys then name it.
pub(super) async fn within<T>(log: &Log, id: RequestId, work: impl Future<Output = T>) -> T {
    match log.log {
        Some(_) => audit::within(id.to_string(), work).await,
        None => work.await,
    }
}

/// Writes the line of a request, and waits for it.
///
/// # Errors
/// When the line is not written: the answer must not be sent.
pub(super) async fn record(
    log: &Log,
    id: RequestId,
    status: StatusCode,
    summary: &Summary,
) -> Result<(), RequestError> {
    let Log {
        log: Some(log),
        strangers,
    } = log
    else {
        return Ok(());
    };

    // Requests for nothing of this server say nothing of its keys.
    let is_refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    if summary.operation.is_none() && !is_refused {
        return Ok(());
    }
    let entry = Entry {
        is_refused,
        is_success: status.is_success(),
        result: result(status),
        status: status.as_u16(),
    };
    let Some(receipt) = enter(log, strangers, id, summary, &entry) else {
        return Ok(());
    };
    let written = receipt.written().await;
    written.map_err(|_| RequestError::NotAudited)
}

/// The end of a login.
pub(super) struct LoginEnd<'l> {
    pub(super) subject: &'l str,
    pub(super) issuer: Option<&'l str>,
    pub(super) client: Option<&'l Peer>,
    pub(super) status: StatusCode,
}

/// Writes the line of a login, and waits for it.
///
/// # Errors
/// When the line is not written: the caller must not get a session.
pub(super) async fn login(
    log: &Log,
    id: RequestId,
    end: &LoginEnd<'_>,
) -> Result<(), RequestError> {
    let Some(log) = &log.log else { return Ok(()) };
    let client = end.client.map(ToString::to_string);
    let event = Event::new("login")
        .text("request", &id.to_string())
        .text("subject", end.subject)
        .maybe("issuer", end.issuer)
        .maybe("client", client.as_deref())
        .text("result", result(end.status));
    let written = log.record(event).written().await;
    written.map_err(|_| RequestError::NotAudited)
}

/// Notes a request that was given up before its answer: its client is gone, or the server stops.
pub(super) fn given_up(log: &Log, id: RequestId, summary: &Summary) {
    let Log {
        log: Some(log),
        strangers,
    } = log
    else {
        return;
    };
    // A runtime that ends drops requests too.
    if summary.operation.is_none() || tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    let entry = Entry {
        is_refused: false,
        is_success: false,
        result: "given_up",
        status: GIVEN_UP,
    };
    // Nobody waits for it.
    drop(enter(log, strangers, id, summary, &entry));
}

/// How a request ended.
struct Entry {
    is_refused: bool,
    is_success: bool,
    result: &'static str,
    status: u16,
}

fn enter(
    log: &Arc<AuditLog>,
    strangers: &Arc<Strangers>,
    id: RequestId,
    summary: &Summary,
    entry: &Entry,
) -> Option<Receipt> {
    let id = id.to_string();
    let caller = summary.caller.as_ref();
    let client = summary.client.as_ref().map(ToString::to_string);
    let mut event = RequestEvent::default();
    event.request = &id;
    event.subject = caller.map(temporal_kms_codec_service::auth::Identity::subject);
    event.issuer = caller.and_then(|caller| caller.issuer());
    event.client = client.as_deref();
    event.operation = summary.operation;
    event.namespace = summary
        .namespace
        .as_ref()
        .map(temporal_kms_codec::Namespace::as_str);
    event.payloads = summary.asked.payloads.get().copied().unwrap_or_default();
    event.undecoded = summary.placeholders;
    event.bytes = summary.bytes;
    event.keys = summary.asked.keys.get().map_or(&[], Vec::as_slice);
    event.decision = match summary.namespace {
        Some(_) if !entry.is_refused => Decision::Allowed,
        _ => Decision::Refused,
    };
    event.result = entry.result;
    event.error = summary.error.as_deref();
    event.status = entry.status;
    // Known callers have limits of their own.
    let is_stranger = caller.is_none() && summary.namespace.is_none();
    if is_stranger && !entry.is_success {
        strangers.record(log, &event, entry.result)
    } else {
        Some(log.record(&event))
    }
}

fn result(status: StatusCode) -> &'static str {
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
