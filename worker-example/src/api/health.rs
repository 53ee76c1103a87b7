//! `GET /`, `/health`, `/healthz` and `/readyz`. They need no authentication and show nothing of tasks.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{app::App, error::json_answer, openapi};

/// `GET /`: what this service is.
pub(super) async fn root() -> Response {
    let body = json!({
        "service": "claude-tasks",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "healthy",
        "documentation": "/openapi.json",
    });
    json_answer(StatusCode::OK, &body)
}

/// `GET /health` and `/healthz`: the process answers.
pub(super) async fn health() -> Response {
    let body = json!({"status": "healthy", "service": "claude-tasks", "version": env!("CARGO_PKG_VERSION")});
    json_answer(StatusCode::OK, &body)
}

/// `GET /readyz`: the service can take tasks, and is not about to stop.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let report = app.readiness.report();
    let conditions: serde_json::Map<String, Value> = report
        .conditions
        .iter()
        .map(|(name, condition)| {
            let state = json!({"state": condition.name(), "reason": condition.reason()});
            ((*name).to_owned(), state)
        })
        .collect();
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": report.is_ready(),
        "phase": report.phase.name(),
        "conditions": conditions,
    });
    json_answer(status, &body)
}

/// `GET /openapi.json`.
pub(super) async fn document() -> Response {
    let mut response = json_answer(StatusCode::OK, &Value::Null);
    *response.body_mut() = openapi::DOCUMENT.into();
    response
}
