//! Long answers of HTTP/1.1, which the HTTP library hands over in several parts. The time for an answer is for all of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    body::{Body, HttpBody},
    response::Response,
};

use super::protocol::READ_BUFFER;
use crate::body::HeldBody;

/// Whether the HTTP library still has to hand over parts of an answer. A connection has one answer at a time.
#[derive(Debug, Default)]
pub(super) struct LongAnswer(AtomicBool);

impl LongAnswer {
    pub(super) fn is_unfinished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes when the parts of an answer begin and end. A short answer has one part, and streams have time for each part.
    pub(super) fn watch(self: &Arc<Self>, response: Response) -> Response {
        let length = response.body().size_hint().exact();
        if length.is_none_or(|length| length <= READ_BUFFER as u64) {
            return response;
        }
        self.0.store(true, Ordering::Relaxed);
        let unfinished = Unfinished(Arc::clone(self));
        response.map(|body| Body::new(HeldBody::new(body, unfinished)))
    }
}

/// Is held by the body of a long answer. The HTTP library drops it when it has the last part.
struct Unfinished(Arc<LongAnswer>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn only_a_long_answer_of_known_length_is_unfinished_until_its_end() {
        let parts = [vec![0; READ_BUFFER], vec![0; READ_BUFFER]];
        let stream = stream::iter(parts.map(Ok::<_, Infallible>));
        for (body, is_long) in [
            (Body::empty(), false),
            (Body::from(vec![0; READ_BUFFER]), false),
            (Body::from_stream(stream), false),
            (Body::from(vec![0; READ_BUFFER + 1]), true),
        ] {
            let answer = Arc::<LongAnswer>::default();
            let length = body.size_hint().exact();
            let response = answer.watch(Response::new(body));
            assert_eq!(answer.is_unfinished(), is_long);
            assert_eq!(response.body().size_hint().exact(), length);
            let body = response.into_body().collect().await.unwrap();
            assert!(!answer.is_unfinished());
            assert!(length.is_none_or(|length| body.to_bytes().len() as u64 == length));
        }
    }
}
