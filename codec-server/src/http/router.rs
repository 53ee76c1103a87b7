//! The paths that the server answers.

use std::sync::Arc;

use axum::{Router, middleware};

use super::{app::App, pipeline, record::record};

/// Everything that clients can call. A codec path may have any prefix, so it is the fallback.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .fallback(pipeline::handle)
        .layer(app.origins.cors_layer())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), record))
        .with_state(app)
}
