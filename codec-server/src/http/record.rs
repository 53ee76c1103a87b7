//! The outermost layer: a request gets its id and its span, its answer the headers that every answer has, both logs their
//! lines, and the metrics their numbers.

use axum::{extract::Request, response::Response};
use temporal_kms_codec_service::telemetry::RequestSpan;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    answer,
    app::App,
    audited,
    log::{self, Names, Summary},
    request_id::RequestId,
};

/// Records a request and its answer, which `next` makes.
pub(super) async fn record(
    app: &App,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let (start, method) = (Instant::now(), log::method(request.method()));
    let id = RequestId::next();
    let span = RequestSpan::new(&id, request.headers());
    let _in_flight = app.metrics.requests().started();
    request.extensions_mut().insert(id);
    // Before CORS, which answers preflights by itself.
    app.origins.log_refused(&request);
    let mut response = next(request).instrument(span.span().clone()).await;
    let summary = response.extensions_mut().remove::<Summary>();
    let mut summary = summary.unwrap_or_default();
    let recorded = audited::record(&app.audit, id, response.status(), &summary).await;
    if let Err(refused) = recorded
        && response.status().is_success()
    {
        // Nobody sees plaintext without a record of it.
        summary.error = Some(refused.for_operator());
        response = answer::refusal(&refused, id);
    }
    answer::protect(&mut response);
    let took = start.elapsed();
    let ended = summary.ended(&response, took);
    app.metrics.requests().ended(&ended);
    span.end(&ended);
    let names = Names {
        request: id,
        trace: span.trace_id(),
        method,
    };
    log::write(&names, response.status(), took, &summary);
    id.name_answer(&mut response);
    response
}
