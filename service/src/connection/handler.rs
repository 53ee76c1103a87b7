//! What answers the requests of a listener.

use axum::{Router, extract::Request, response::Response};
use futures::future::{BoxFuture, FutureExt as _};
use tower::ServiceExt as _;

/// Answers requests. Routes are one, and a program can have a shorter way for the requests that it gets most.
pub trait Handler: Send + Sync {
    /// The answer to a request.
    fn handle(&self, request: Request) -> BoxFuture<'static, Response>;
}

impl Handler for Router {
    fn handle(&self, request: Request) -> BoxFuture<'static, Response> {
        let answer = self.clone().oneshot(request);
        answer.map(|Ok(answer)| answer).boxed()
    }
}
