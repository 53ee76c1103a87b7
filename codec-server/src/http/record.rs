//! The outermost layer: a request gets its id and its span, its answer the headers that every answer has, both logs their
//! lines, and the metrics their numbers.

use std::{future::poll_fn, pin::pin};

use axum::{extract::Request, response::Response};
use temporal_kms_codec_service::telemetry::RequestSpan;
use tokio::time::Instant;

use super::{
    answer,
    app::App,
    audited,
    log::{self, Names, Summary},
    request_id::RequestId,
};

/// Records a request and its answer. `next` makes the answer, and tells what the log says of it.
pub(super) async fn record(
    app: &App,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> (Response, Summary),
) -> Response {
    let (start, method) = (Instant::now(), log::method(request.method()));
    let id = RequestId::next();
    let span = RequestSpan::new(&id, request.headers());
    let _in_flight = app.metrics.requests().started();
    request.extensions_mut().insert(id);
    // Before CORS, which answers preflights by itself.
    app.origins.log_refused(&request);
    let mut answered = pin!(next(request));
    // The span is entered for each poll. It is not entered again when the finished future is dropped.
    let answered = poll_fn(|cx| span.span().in_scope(|| answered.as_mut().poll(cx)));
    let (mut response, mut summary) = answered.await;
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
