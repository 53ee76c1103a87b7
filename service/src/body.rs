//! Reads bodies whose content does not matter any more, so that clients see the answer to their request.
//!
//! Many clients send the whole body before they read the answer, and would see a broken connection. Others lose an answer of
//! HTTP/2 that comes before they have sent the body (curl 7.88).

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// How much of a body is read that was not asked for, because its request was refused by its head, and for how long.
const UNREAD: usize = 64 << 10;
const UNREAD_TIME: Duration = Duration::from_millis(250);

/// Reads a small body of a request that was refused by its head. HTTP/1.1 does not need it.
pub async fn discard_unread(body: Body) {
    discard(body, UNREAD, UNREAD_TIME).await;
}

/// Reads on for at most this many bytes and this time.
pub async fn discard(mut body: Body, most: usize, time: Duration) {
    let read = async {
        let mut left = most;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // The answer does not depend on it.
    let _ = timeout(time, read).await;
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures::{StreamExt as _, stream};

    use super::*;

    /// A body of parts of this length, without end, and how many parts were read.
    fn endless(length: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let parts = stream::repeat(length).map(move |length| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(vec![0; length])
        });
        (Body::from_stream(parts), read)
    }

    #[tokio::test]
    async fn a_small_body_is_read_to_its_end_and_a_large_one_is_not() {
        let (body, read) = endless(UNREAD / 4);
        discard_unread(body).await;
        assert_eq!(read.load(Ordering::Relaxed), 4);
        let (body, read) = endless(100);
        discard(body, 250, Duration::from_secs(1)).await;
        assert_eq!(read.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_given_up() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        discard_unread(silent).await;
    }
}
