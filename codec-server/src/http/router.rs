//! The paths that the server answers.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodRouter, get, post},
};

use super::{
    app::App, login, page, pipeline, place::in_place, record::record, status::status,
    whoami::whoami,
};

/// Everything that clients can call. A codec path may have any prefix, so it is the fallback, also for other methods.
pub(crate) fn router(app: Arc<App>) -> Router {
    let page = if app.page {
        page::routes()
    } else {
        Router::new()
    };
    // The codec paths take a place by themselves.
    let own = |method: MethodRouter<Arc<App>>| {
        let place = middleware::from_fn_with_state(Arc::clone(&app), in_place);
        method.route_layer(place).fallback(pipeline::handle)
    };
    page.route("/whoami", own(get(whoami)))
        .route("/status", own(get(status)))
        .route("/auth/login", own(get(login::begin)))
        .route("/auth/callback", own(get(login::finish)))
        .route("/auth/logout", own(post(login::end)))
        .fallback(pipeline::handle)
        .layer(app.origins.cors_layer())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), record))
        .with_state(app)
}
