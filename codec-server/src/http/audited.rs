//! The audit log's line of a request.

use std::sync::{Arc, OnceLock};

use http::StatusCode;
use temporal_kms_codec::{
    Payload,
    audit::{self, AuditLog, Decision, RequestEvent},
};

use super::{
    log::Summary,
    request_error::{RequestError, named_keys},
    request_id::RequestId,
};

/// The keys of a request that the log names.
const MOST_KEYS: usize = 8;

/// The audit log, where there is one.
pub(super) type Log = Option<Arc<AuditLog>>;

/// What a request holds, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) payloads: OnceLock<usize>,
    keys: OnceLock<Vec<String>>,
}

impl Asked {
    /// Notes the keys that payloads name, each once.
    pub(super) fn note_keys(&self, payloads: &[Payload]) {
        let mut keys = Vec::new();
        for key in payloads.iter().flat_map(named_keys) {
            if !keys.contains(&key) {
                keys.push(key);
            }
            if keys.len() >= MOST_KEYS {
                break;
            }
        }
        // The first ones stay.
        let _ = self.keys.set(keys);
    }
}

/// Refuses work while no line can be written.
pub(super) fn check(log: &Log) -> Result<(), RequestError> {
    match log {
        Some(log) => log.check().map_err(|_| RequestError::NotAudited),
        None => Ok(()),
    }
}

/// Runs the work of a request. The lines of calls of keys then name it.
pub(super) async fn within<T>(log: &Log, id: RequestId, work: impl Future<Output = T>) -> T {
    match log {
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
    let Some(log) = log else { return Ok(()) };

    // Requests for nothing of this server say nothing of its keys.
    let is_refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    if summary.operation.is_none() && !is_refused {
        return Ok(());
    }
    let receipt = {
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
            Some(_) if !is_refused => Decision::Allowed,
            _ => Decision::Refused,
        };
        event.result = result(status);
        event.error = summary.error.as_deref();
        event.status = status.as_u16();
        log.record(&event)
    };
    receipt
        .written()
        .await
        .map_err(|_| RequestError::NotAudited)
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
