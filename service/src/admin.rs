//! Health, readiness and metrics of a server. The answers show no payload and no secret. Metrics name keys and namespaces.

mod audit;
mod hosts;
mod serve;

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use crate::{
    lifecycle::{Condition, Phase, Readiness, ReadinessReport},
    telemetry::{Metrics, PROMETHEUS_TEXT},
};

pub use audit::{Unwritable, watch_audit};
pub use hosts::names_no_foreign_host;
pub use serve::serve;

/// Whether the listener answers requests with this target and these headers, by the host that they name.
pub type AnswersHost = Arc<dyn Fn(&Uri, &HeaderMap) -> bool + Send + Sync>;

/// `/healthz`: the process answers. `/readyz`: it can do its work and is not about to stop. `/metrics`: its numbers, for
/// Prometheus.
///
/// `host_remedy` tells a client with another host which ones to use.
pub fn routes(
    readiness: Arc<Readiness>,
    numbers: Arc<Metrics>,
    answers: AnswersHost,
    host_remedy: &'static str,
) -> Router {
    let metrics = get(metrics).fallback(wrong_method).with_state(numbers);
    Router::new()
        .route("/healthz", get(healthz).fallback(wrong_method))
        .route("/readyz", get(readyz).fallback(wrong_method))
        .with_state(readiness)
        .route("/metrics", metrics)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(
            (answers, host_remedy),
            check_host,
        ))
}

async fn check_host(
    State((answers, remedy)): State<(AnswersHost, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    if answers(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let refused =
        format!("this address answers requests to localhost and IP addresses only; {remedy}\n");
    text(StatusCode::FORBIDDEN, refused)
}

async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    answer(StatusCode::OK, PROMETHEUS_TEXT, metrics.text())
}

async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

async fn readyz(State(readiness): State<Arc<Readiness>>, headers: HeaderMap) -> Response {
    let report = readiness.report();
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let accepted = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    if accepted.is_some_and(|accepted| accepted.starts_with(b"application/json")) {
        let kind = "application/json";
        return answer(status, kind, format!("{:#}\n", as_json(&report)));
    }
    text(status, as_text(&report))
}

fn as_text(report: &ReadinessReport) -> String {
    let mut text = match report.phase {
        Phase::Draining => return "shutting down\n".to_owned(),
        _ if report.is_ready() => "ready\n".to_owned(),
        _ => String::new(),
    };
    for (name, condition) in &report.conditions {
        if let Some(reason) = condition.reason() {
            let beginning = match condition {
                Condition::Unmet(_) => "not ready",
                _ => "degraded",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{beginning}: {name}: {reason}");
        }
    }
    if text.is_empty() {
        text.push_str("not ready: starting\n");
    }
    text
}

fn as_json(report: &ReadinessReport) -> Value {
    let condition = |condition: &Condition| {
        let mut shown = json!({ "state": condition.name() });
        if let (Some(reason), Some(shown)) = (condition.reason(), shown.as_object_mut()) {
            shown.insert("reason".to_owned(), reason.into());
        }
        shown
    };
    let conditions: Map<String, Value> = report
        .conditions
        .iter()
        .map(|(name, state)| ((*name).to_owned(), condition(state)))
        .collect();
    json!({
        "ready": report.is_ready(),
        "phase": report.phase.name(),
        "conditions": conditions,
    })
}

async fn wrong_method() -> Response {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET requests are answered here\n",
    );
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

async fn not_found() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "not found; this address answers /healthz, /readyz and /metrics\n",
    )
}

fn text(status: StatusCode, text: impl Into<String>) -> Response {
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_to_people_and_to_programs() {
        let readiness = Readiness::new();
        let starting = as_text(&readiness.report());
        assert!(starting.starts_with("not ready: keys: "), "{starting}");

        readiness.advance(Phase::Ready);
        readiness.set("keys", Condition::Met);
        readiness.set("configuration", Condition::Degraded("it is old".to_owned()));
        let report = readiness.report();
        assert_eq!(
            as_text(&report),
            "ready\ndegraded: configuration: it is old\n"
        );
        assert_eq!(
            as_json(&report),
            json!({
                "ready": true,
                "phase": "ready",
                "conditions": {
                    "configuration": {"state": "degraded", "reason": "it is old"},
                    "keys": {"state": "met"},
                },
            })
        );

        readiness.set("audit", Condition::Unmet("the disk is full".to_owned()));
        let text = as_text(&readiness.report());
        assert!(
            text.starts_with("not ready: audit: the disk is full\n"),
            "{text}"
        );
        readiness.advance(Phase::Draining);
        assert_eq!(as_text(&readiness.report()), "shutting down\n");
    }
}
