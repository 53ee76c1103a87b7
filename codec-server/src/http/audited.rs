//! The audit log's lines of requests and logins.

use http::StatusCode;
use temporal_kms_codec::audit::{Event, Receipt, RequestEvent};
use temporal_kms_codec_service::{
    audit::{Ending, result_of, written},
    listener::Peer,
};

use super::{log::Summary, request_error::RequestError, request_id::RequestId};

pub(super) use temporal_kms_codec_service::audit::RequestLog as Log;

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
    Ok(written(enter(log, id, summary, Ending::answered(status))).await?)
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
    Ok(written(log.record(event)).await?)
}

/// Notes a request that was given up before its answer: its client is gone, or the server stops.
pub(super) fn given_up(log: &Log, id: RequestId, summary: &Summary) {
    // A runtime that ends drops requests too.
    if summary.operation.is_none() || tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    // Nobody waits for it.
    drop(enter(log, id, summary, Ending::GIVEN_UP));
}

fn enter(log: &Log, id: RequestId, summary: &Summary, ending: Ending) -> Option<Receipt> {
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
    event.payloads = summary.facts.payloads.get().copied().unwrap_or_default();
    event.undecoded = summary.placeholders;
    event.bytes = summary.bytes;
    event.keys = summary.facts.keys.get().map_or(&[], Vec::as_slice);
    event.error = summary.error.as_deref();
    log.enter(event, summary.namespace.is_some(), ending)
}
