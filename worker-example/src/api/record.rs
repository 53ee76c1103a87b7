//! The outermost layer: one line in both logs for each request, its numbers in the metrics, and the headers of every answer.
//! The log never has a header, a query or a body.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, header};
use temporal_kms_codec_service::{request_id::RequestId, telemetry::EndedRequest};
use tokio::time::Instant;

use super::{
    app::App,
    audited::{Line, Noted},
    error::{ApiError, Reason},
};

/// Records a request and its answer. A stream is recorded when it begins.
pub(super) async fn record(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::next();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(Noted::default());
    let start = Instant::now();
    let _in_flight = app.metrics.requests().started();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let operation = operation(&method, path);
    let line = Line::of(&app, id, operation, &request);
    let mut response = app.audit.within(id, next.run(request)).await;
    let reason = response.extensions().get::<Reason>().cloned();
    let error = reason.as_ref().map(|Reason(error)| error.as_str());
    let written = line.answered(response.status(), error).await;
    if written.is_err() && response.status().is_success() {
        // The client gets nothing without a record of it. The task of a stream is cancelled.
        response = ApiError::NotRecorded.into_response();
    }
    let status = response.status().as_u16();
    let took = start.elapsed();
    app.metrics.requests().ended(&EndedRequest {
        operation,
        namespace: Some(&app.namespace),
        status,
        took,
        ..EndedRequest::default()
    });
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let reason = response.extensions_mut().remove::<Reason>();
    match reason {
        Some(Reason(error)) => {
            tracing::warn!(request = %id, %method, path, status, duration_us, error, "request");
        }
        None if path.contains("health") || path == "/readyz" => {
            tracing::debug!(request = %id, %method, path, status, duration_us, "request");
        }
        None => tracing::info!(request = %id, %method, path, status, duration_us, "request"),
    }
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    id.name_answer(&mut response);
    response
}

/// What a request asks for, in the metrics and in the audit log.
fn operation(method: &Method, path: &str) -> Option<&'static str> {
    Some(match path {
        "/run" => "run",
        "/tasks" if method != Method::POST => "list",
        "/run-async" | "/tasks" => "submit",
        "/cancel/{id}" => "cancel",
        "/tasks/status" => "count",
        "/tasks/{id}" => "status",
        "/tasks/{id}/events" => "events",
        "/tasks/{id}/logs" => "logs",
        _ => return None,
    })
}
