//! Requests other than those of the codec take a place among the open requests, too: a connection of HTTP/2 carries many.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{answer, app::App, request_id::RequestId};

/// Answers a request while there is a place for it.
pub(super) async fn in_place(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let _open = match app.admission.open() {
        Ok(open) => open,
        Err(refused) => {
            if let Some(reason) = refused.shed_reason() {
                app.metrics.requests().shed(reason);
            }
            return answer::refused(&refused, RequestId::of(&request));
        }
    };
    next.run(request).await
}
