//! One line for each request: what was asked and what came of it, never a header, a path or a payload.

use std::time::Duration;

use http::{Method, StatusCode};

/// What is known of a request when it is answered; travels in the answer's extensions.
#[derive(Clone, Default)]
pub(super) struct Summary {
    pub(super) operation: Option<&'static str>,
    /// One that is served, and so no text of a stranger's.
    pub(super) namespace: Option<temporal_kms_codec::Namespace>,
    pub(super) payloads: usize,
    /// Why it was refused, in the operator's words.
    pub(super) error: Option<String>,
}

pub(super) fn write(method: &str, status: StatusCode, duration: Duration, summary: &Summary) {
    let Summary {
        operation,
        namespace,
        payloads,
        error,
    } = summary;
    let status = status.as_u16();
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (operation, namespace) = (
        operation.unwrap_or("-"),
        namespace.as_ref().map_or("-", |name| name.as_str()),
    );
    if let Some(error) = error {
        tracing::warn!(
            method,
            operation,
            namespace,
            status,
            payloads,
            duration_us,
            error,
            "request"
        );
    } else {
        tracing::info!(
            method,
            operation,
            namespace,
            status,
            payloads,
            duration_us,
            "request"
        );
    }
}

/// A method's name; a client may make up its own, which is nobody's to read.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
