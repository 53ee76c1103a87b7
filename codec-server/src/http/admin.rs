//! Health and readiness. The answers show no payload and no key, so any address may be used.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use temporal_kms_codec_service::lifecycle::{Phase, Readiness};
use tower::service_fn;

use super::{Response, Serve};

/// `/healthz`: the process answers. `/readyz`: it can do its work and is not about to stop.
pub(crate) fn admin(readiness: Arc<Readiness>) -> impl Serve {
    service_fn(move |request: Request<Incoming>| {
        let response = answer(&readiness, request.method(), request.uri().path());
        async move { Ok(response) }
    })
}

fn answer(readiness: &Readiness, method: &Method, path: &str) -> Response {
    let (status, text) = match (path, method) {
        ("/healthz" | "/readyz", method) if !matches!(*method, Method::GET | Method::HEAD) => (
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET requests are answered here\n",
        ),
        ("/healthz", _) => (StatusCode::OK, "ok\n"),
        ("/readyz", _) => match readiness.phase() {
            Phase::Starting => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: some keys have not answered yet; the log names them\n",
            ),
            Phase::Ready => (StatusCode::OK, "ready\n"),
            Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        },
        _ => (
            StatusCode::NOT_FOUND,
            "not found; this address answers /healthz and /readyz\n",
        ),
    };
    let mut response = http::Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
