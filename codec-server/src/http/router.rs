//! The paths that the server answers.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use super::{app::App, login, page, pipeline, record::record, whoami::whoami};

/// Everything that clients can call. A codec path may have any prefix, so it is the fallback, also for other methods.
pub(crate) fn router(app: Arc<App>) -> Router {
    let page = if app.page {
        page::routes()
    } else {
        Router::new()
    };
    page.route("/whoami", get(whoami).fallback(pipeline::handle))
        .route("/auth/login", get(login::begin).fallback(pipeline::handle))
        .route(
            "/auth/callback",
            get(login::finish).fallback(pipeline::handle),
        )
        .route("/auth/logout", post(login::end).fallback(pipeline::handle))
        .fallback(pipeline::handle)
        .layer(app.origins.cors_layer())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), record))
        .with_state(app)
}
