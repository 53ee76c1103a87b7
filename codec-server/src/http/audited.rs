//! The audit log's lines of requests and logins.

use http::StatusCode;
use temporal_kms_codec::audit::{Decision, Event, Receipt, RequestEvent};
use temporal_kms_codec_service::{
    audit::{NotAudited, result_of, written},
    listener::Peer,
};

use super::{log::Summary, request_error::RequestError, request_id::RequestId};

pub(super) use temporal_kms_codec_service::audit::RequestLog as Log;

/// What some proxies log as "client closed request". It is never sent.
const GIVEN_UP: u16 = 499;

/// Refuses work while no line can be written.
pub(super) fn check(log: &Log) -> Result<(), RequestError> {
    log.check().map_err(not_audited)
}

fn not_audited(_: NotAudited) -> RequestError {
    RequestError::NotAudited
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
    if !log.is_kept() {
        return Ok(());
    }
    // Requests for nothing of this server say nothing of its keys.
    let is_refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    if summary.operation.is_none() && !is_refused {
        return Ok(());
    }
    let entry = Entry {
        is_refused,
        result: result_of(status),
        status: status.as_u16(),
    };
    let receipt = enter(log, id, summary, &entry);
    written(receipt).await.map_err(not_audited)
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
    let client = end.client.map(ToString::to_string);
    let event = Event::new("login")
        .text("request", &id.to_string())
        .text("subject", end.subject)
        .maybe("issuer", end.issuer)
        .maybe("client", client.as_deref())
        .text("result", result_of(end.status));
    written(log.record(event)).await.map_err(not_audited)
}

/// Notes a request that was given up before its answer: its client is gone, or the server stops.
pub(super) fn given_up(log: &Log, id: RequestId, summary: &Summary) {
    // A runtime that ends drops requests too.
    if summary.operation.is_none() || tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    let entry = Entry {
        is_refused: false,
        result: "given_up",
        status: GIVEN_UP,
    };
    // Nobody waits for it.
    drop(enter(log, id, summary, &entry));
}

/// How a request ended.
struct Entry {
    is_refused: bool,
    result: &'static str,
    status: u16,
}

fn enter(log: &Log, id: RequestId, summary: &Summary, entry: &Entry) -> Option<Receipt> {
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
    log.enter(&event, entry.result)
}
