//! The outermost layer: a request gets its id, its answer the headers that every answer has, and the log its line.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{
    answer,
    app::App,
    log::{self, Summary},
    request_id::RequestId,
};

/// The name of the request, as in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Records a request and its answer.
pub(super) async fn record(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (start, method) = (Instant::now(), log::method(request.method()));
    let id = RequestId::next();
    request.extensions_mut().insert(id);
    // Before CORS, which answers preflights by itself.
    app.origins.log_refused(request.uri(), request.headers());
    let mut response = next.run(request).await;
    answer::protect(&mut response);
    let summary = response.extensions_mut().remove::<Summary>();
    let summary = summary.unwrap_or_default();
    log::write(id, method, response.status(), start.elapsed(), &summary);
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
