//! One log line for each request: the operation and its result. It never has a header, a path or a payload.

use std::{sync::Arc, time::Duration};

use axum::{body::HttpBody as _, response::Response};
use http::{Method, StatusCode};
use temporal_kms_codec_service::{auth::Identity, listener::Peer, telemetry::EndedRequest};

use super::{request_error::shown, request_facts::RequestFacts, request_id::RequestId};

/// What the log says of a request. Routes pass it in the extensions of the answer.
#[derive(Clone, Default)]
pub(super) struct Summary {
    pub(super) operation: Option<&'static str>,
    pub(super) namespace: Option<temporal_kms_codec::Namespace>,
    /// Who asked. `None` where the server authenticates nobody.
    pub(super) caller: Option<Identity>,
    /// The other end of the connection.
    pub(super) client: Option<Peer>,
    /// The bytes of the body.
    pub(super) bytes: usize,
    /// What the audit log says of the payloads.
    pub(super) facts: Arc<RequestFacts>,
    pub(super) payloads: usize,
    /// How many payloads were answered by placeholders.
    pub(super) placeholders: usize,
    /// How many storage references were returned unchecked.
    pub(super) references: usize,
    /// Why it was refused, for the operator.
    pub(super) error: Option<String>,
}

impl Summary {
    /// What the metrics and the trace say of the request.
    pub(super) fn ended<'s>(&'s self, answer: &Response, took: Duration) -> EndedRequest<'s> {
        let length = answer.body().size_hint().exact();
        EndedRequest {
            operation: self.operation,
            namespace: self.namespace.as_ref(),
            status: answer.status().as_u16(),
            took,
            payloads: self.payloads,
            placeholders: self.placeholders,
            references: self.references,
            body: self.bytes,
            answer: usize::try_from(length.unwrap_or_default()).unwrap_or(usize::MAX),
        }
    }
}

/// What a request is found by.
pub(super) struct Names<'a> {
    pub(super) request: RequestId,
    /// The trace that it belongs to.
    pub(super) trace: Option<&'a str>,
    pub(super) method: &'static str,
}

pub(super) fn write(names: &Names<'_>, status: StatusCode, duration: Duration, summary: &Summary) {
    let Summary {
        operation,
        namespace,
        caller,
        payloads,
        placeholders,
        references,
        error,
        ..
    } = summary;
    let Names {
        request,
        trace: trace_id,
        method,
    } = names;
    let status = status.as_u16();
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let operation = operation.unwrap_or("-");
    // `dev` serves any name that a client invents.
    let namespace = namespace
        .as_ref()
        .map_or_else(|| "-".to_owned(), |name| shown(name.as_str()));
    let caller = caller.as_ref().map_or_else(|| "-".to_owned(), name_of);
    if let Some(error) = error {
        tracing::warn!(
            %request,
            trace_id,
            method,
            operation,
            namespace,
            caller,
            status,
            payloads,
            duration_us,
            error,
            "request"
        );
    } else {
        tracing::info!(
            %request,
            trace_id,
            method,
            operation,
            namespace,
            caller,
            status,
            payloads,
            placeholders,
            references,
            duration_us,
            "request"
        );
    }
}

/// A caller's name: how it proved who it is, its issuer, and the name there.
fn name_of(caller: &Identity) -> String {
    let (method, subject) = (caller.method(), shown(caller.subject()));
    match caller.issuer() {
        Some(issuer) => format!("{method}:{issuer}:{subject}"),
        None => format!("{method}:{subject}"),
    }
}

/// A method's name. A client may invent one, which is not logged.
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
