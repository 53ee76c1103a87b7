//! The paths of the API.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodRouter, get, post},
};

use super::{
    app::App, cancel, error::ApiError, events, health, logs, record::record, run, tasks,
    unread::read_before_refusal,
};

/// Everything that clients can call.
pub(super) fn router(app: Arc<App>) -> Router {
    let reads = |method: MethodRouter<Arc<App>>| method.fallback(only_get);
    let writes = |method: MethodRouter<Arc<App>>| method.fallback(only_post);
    Router::new()
        .route("/", reads(get(health::root)))
        .route("/health", reads(get(health::health)))
        .route("/healthz", reads(get(health::health)))
        .route("/readyz", reads(get(health::ready)))
        .route("/openapi.json", reads(get(health::document)))
        .route("/run", writes(post(run::run)))
        .route("/run-async", writes(post(run::run_async)))
        .route("/cancel/{id}", writes(post(cancel::cancel)))
        .route(
            "/tasks",
            get(tasks::list).post(run::submit).fallback(get_or_post),
        )
        .route("/tasks/status", reads(get(tasks::counts)))
        .route("/tasks/{id}", reads(get(tasks::task)))
        .route("/tasks/{id}/events", reads(get(events::events)))
        .route("/tasks/{id}/logs", reads(get(logs::logs)))
        .fallback(unknown)
        .layer(middleware::from_fn(read_before_refusal))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), record))
        .with_state(app)
}

async fn unknown() -> ApiError {
    ApiError::UnknownPath
}

async fn only_get() -> ApiError {
    ApiError::Method("GET, HEAD")
}

async fn only_post() -> ApiError {
    ApiError::Method("POST")
}

async fn get_or_post() -> ApiError {
    ApiError::Method("GET, HEAD, POST")
}
