//! The paths that the server answers, and the straight way of codec requests.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use http::{Method, header};
use tower::ServiceExt as _;

use super::{
    app::App, log::Summary, login, page, pipeline, place::in_place, record::record, status::status,
    whoami::whoami,
};

/// Answers a request, and records it.
pub(crate) async fn answer(app: &Arc<App>, routes: &Router, request: Request) -> Response {
    record(app, request, async |request| {
        if needs_routes(&request) {
            return by_routes(routes, request).await;
        }
        let (mut response, summary) = pipeline::run(app, request).await;
        app.origins.add_cors_headers(&mut response);
        (response, summary)
    })
    .await
}

/// As [`answer`], through the routes in any case.
pub(crate) async fn answer_by_routes(
    app: &Arc<App>,
    routes: &Router,
    request: Request,
) -> Response {
    record(app, request, async |request| {
        by_routes(routes, request).await
    })
    .await
}

async fn by_routes(routes: &Router, request: Request) -> (Response, Summary) {
    let Ok(mut response) = routes.clone().oneshot(request).await;
    let summary = response.extensions_mut().remove::<Summary>();
    (response, summary.unwrap_or_default())
}

/// Whether a request is not for a codec path, or a browser may want to know whether its page may read the answer. Routing and
/// CORS take as long as decoding a small payload, so other requests skip both.
fn needs_routes(request: &Request) -> bool {
    let path = request.uri().path();
    let is_codec = path.ends_with("/decode") || path.ends_with("/encode");
    !is_codec || request.method() != Method::POST || request.headers().contains_key(header::ORIGIN)
}

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
    let (log_in, log_out) = (own(get(login::begin)), own(post(login::end)));
    page.route("/whoami", own(get(whoami)))
        .route("/status", own(get(status)))
        .route("/auth/login", log_in.clone())
        .route("/auth/callback", own(get(login::finish)))
        .route("/auth/logout", log_out.clone())
        // Shorter names of the same.
        .route("/login", log_in)
        .route("/logout", log_out)
        .fallback(pipeline::handle)
        .layer(app.origins.cors_layer())
        .with_state(app)
}
