//! The outermost layer: one line in the log for each request, its numbers in the metrics, and the headers of every answer.
//! The log never has a header, a query or a body.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, header};
use temporal_kms_codec_service::telemetry::EndedRequest;
use tokio::time::Instant;

use super::{app::App, error::Reason};

/// Records a request and its answer. A stream is recorded when it begins.
pub(super) async fn record(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let _in_flight = app.metrics.requests().started();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let took = start.elapsed();
    app.metrics.requests().ended(&EndedRequest {
        operation: operation(path),
        namespace: Some(&app.namespace),
        status,
        took,
        ..EndedRequest::default()
    });
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let reason = response.extensions_mut().remove::<Reason>();
    match reason {
        Some(Reason(error)) => tracing::warn!(%method, path, status, duration_us, error, "request"),
        None if path.contains("health") || path == "/readyz" => {
            tracing::debug!(%method, path, status, duration_us, "request");
        }
        None => tracing::info!(%method, path, status, duration_us, "request"),
    }
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn operation(path: &str) -> Option<&'static str> {
    Some(match path {
        "/run" => "run",
        "/run-async" | "/tasks" => "submit",
        "/cancel/{id}" => "cancel",
        "/tasks/status" | "/tasks/{id}" => "status",
        "/tasks/{id}/events" => "events",
        _ => return None,
    })
}
