//! The body of a request that is refused before anybody has read it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use temporal_kms_codec_service::body::{discard_unread, is_sent_unasked};

/// How much of the body of a refused request is read.
const MOST: usize = 8 << 20;

/// Reads the rest of the body before the request is refused. Many clients lose the answer otherwise.
pub(super) async fn read_before_refusal(request: Request, next: Next) -> Response {
    let is_sent_unasked = is_sent_unasked(request.headers());
    let (head, body) = request.into_parts();
    let (lent, unread) = lend(body);
    let response = next.run(Request::from_parts(head, lent)).await;
    if !response.status().is_success() {
        unread.discard(is_sent_unasked).await;
    }
    response
}

/// A body that comes back when its reader drops it, and the place to which it comes back.
fn lend(body: Body) -> (Body, Unread) {
    let unread = Unread::default();
    let lent = Lent {
        body,
        was_polled: false,
        owner: unread.clone(),
    };
    (Body::new(lent), unread)
}

#[derive(Clone, Default)]
struct Unread(Arc<Mutex<Option<Returned>>>);

/// What the reader has left.
struct Returned {
    body: Body,
    was_polled: bool,
}

impl Unread {
    /// Reads what is left, if the client sends it. A client that waits for `100 Continue` sends it once the reader has begun.
    async fn discard(self, is_sent_unasked: bool) {
        let returned = self.0.lock().take();
        if let Some(Returned { body, was_polled }) = returned
            && (was_polled || is_sent_unasked)
        {
            discard_unread(body, MOST).await;
        }
    }
}

struct Lent {
    body: Body,
    was_polled: bool,
    owner: Unread,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.was_polled = true;
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.owner.0.lock() = Some(Returned {
            body: std::mem::take(&mut self.body),
            was_polled: self.was_polled,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    /// A body of ten parts, and how many of them were read.
    fn ten_parts() -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let parts = stream::repeat(b"part").take(10).map(move |part| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(part.as_slice())
        });
        (Body::from_stream(parts), read)
    }

    #[tokio::test]
    async fn what_the_reader_leaves_is_read_later_if_the_client_sends_it() {
        for (is_sent_unasked, frames, all) in [
            (true, 0, 10),
            (true, 1, 10),
            (true, 10, 10),
            (false, 0, 0),
            (false, 1, 10),
        ] {
            let (body, read) = ten_parts();
            let (mut lent, unread) = lend(body);
            for _ in 0..frames {
                lent.frame().await.unwrap().unwrap();
            }
            drop(lent);
            assert_eq!(read.load(Ordering::Relaxed), frames);
            unread.discard(is_sent_unasked).await;
            assert_eq!(read.load(Ordering::Relaxed), all);
        }
    }

    #[tokio::test]
    async fn a_lent_body_is_the_body() {
        let (lent, _unread) = lend(Body::from("content"));
        assert_eq!(HttpBody::size_hint(&lent).exact(), Some(7));
        assert_eq!(lent.collect().await.unwrap().to_bytes(), "content");
    }
}
