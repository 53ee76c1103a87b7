//! The handler of requests without its listener and its connections. Only `benches/http` uses it, and it may change at any time.

use axum::{extract::Request, response::Response};

use crate::{live::Live, server::Server};

/// Answers requests as a server does.
#[derive(Clone)]
pub struct Handler(Live);

impl Handler {
    /// The handler of this server.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        Self(server.live().clone())
    }

    /// Answers a request as the server does: codec requests that no web page sends skip the routes and the CORS layer.
    pub async fn answer(&self, request: Request) -> Response {
        self.0.current().answer(request).await
    }

    /// Answers a request through the routes and the CORS layer.
    pub async fn answer_by_routes(&self, request: Request) -> Response {
        self.0.current().answer_by_routes(request).await
    }
}
