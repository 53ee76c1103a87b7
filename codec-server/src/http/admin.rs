//! Health and readiness. The answers show no payload and no key, so any address may be used.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use temporal_kms_codec_service::lifecycle::{Phase, Readiness};

/// `/healthz`: the process answers. `/readyz`: it can do its work and is not about to stop.
pub(crate) fn admin(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(healthz).fallback(wrong_method))
        .route("/readyz", get(readyz).fallback(wrong_method))
        .fallback(not_found)
        .with_state(readiness)
}

async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    match readiness.phase() {
        Phase::Starting => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: some keys have not answered yet; the log names them\n",
        ),
        Phase::Ready => text(StatusCode::OK, "ready\n"),
        Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
    }
}

async fn wrong_method() -> Response {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET requests are answered here\n",
    );
    let allowed = http::HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

async fn not_found() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "not found; this address answers /healthz and /readyz\n",
    )
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}
