//! Bodies that are passed on, and bodies whose content does not matter any more: they are read so that clients see the answer to
//! their request.
//!
//! Many clients send the whole body before they read the answer. A connection of HTTP/1.1 that is closed before that is reset, and
//! the answer is lost. Some clients lose an answer of HTTP/2 that comes before they have sent the body (curl 7.88).

mod held;

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

pub use self::held::HeldBody;

/// How long a body is read that was not asked for, because its request was refused by its head.
const UNREAD_TIME: Duration = Duration::from_secs(5);
/// A client that sends nothing for this long waits for the answer. TCP takes less to send a lost packet again.
const UNREAD_PAUSE: Duration = Duration::from_secs(2);

/// Whether the client sends the body without being asked for it. Others wait for `100 Continue`.
#[must_use]
pub fn is_sent_unasked(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::EXPECT)
}

/// Reads at most this many bytes of a request that was refused before its body was read. A body that says that it is longer
/// is not read.
pub async fn discard_unread(body: Body, most: usize) {
    if body.size_hint().lower() > most as u64 {
        return;
    }
    // The answer does not depend on it.
    let _ = timeout(UNREAD_TIME, read_on(body, most, UNREAD_PAUSE)).await;
}

/// Reads on for at most this many bytes and this time.
pub async fn discard(body: Body, most: usize, time: Duration) {
    // The answer does not depend on it.
    let _ = timeout(time, read_on(body, most, time)).await;
}

/// Reads on until the end, at most this many bytes, and while the client makes no longer pause.
async fn read_on(mut body: Body, most: usize, pause: Duration) {
    let mut left = most;
    while let Ok(Some(Ok(frame))) = timeout(pause, body.frame()).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        net::SocketAddr,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll},
    };

    use axum::{extract::Request, response::Response};
    use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
    use http::StatusCode;
    use hyper::body::{Body as HttpBody, Frame, SizeHint};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        time::{Instant, sleep},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        connection::{self, ConnectionLimits, Handler, Service},
        listener::Listener,
        telemetry::{Metrics, Program},
    };

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

    /// A body that says that it has at least 300 bytes.
    struct Announced(Body);

    impl HttpBody for Announced {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(300);
            hint
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let (body, read) = endless(100);
        discard_unread(body, 400).await;
        assert_eq!(read.load(Ordering::Relaxed), 4);
        let (body, read) = endless(100);
        discard(body, 250, Duration::from_secs(1)).await;
        assert_eq!(read.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_too_long_is_not_read() {
        for (most, parts_read) in [(299, 0), (300, 3)] {
            let (body, read) = endless(100);
            discard_unread(Body::new(Announced(body)), most).await;
            assert_eq!(read.load(Ordering::Relaxed), parts_read);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_given_up() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let start = Instant::now();
        discard_unread(silent, 1).await;
        assert_eq!(start.elapsed(), UNREAD_PAUSE);
        let slow = stream::repeat(Bytes::from_static(b"x")).then(async |part| {
            sleep(UNREAD_PAUSE / 2).await;
            Ok::<_, Infallible>(part)
        });
        let start = Instant::now();
        discard_unread(Body::from_stream(slow), usize::MAX).await;
        assert_eq!(start.elapsed(), UNREAD_TIME);
    }

    /// Refuses each request, and reads its body up to a limit.
    struct Refusing(usize);

    impl Handler for Refusing {
        fn handle(&self, request: Request) -> BoxFuture<'static, Response> {
            let most = self.0;
            let answer = async move {
                discard_unread(request.into_body(), most).await;
                let mut response = Response::new(Body::from("refused"));
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                response
            };
            answer.boxed()
        }
    }

    /// A client of HTTP/1.1 that sends everything before it reads.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_sends_a_large_body_first_sees_the_refusal() {
        const LENGTH: usize = 2 << 20;
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(any_port).await.unwrap();
        let url = listener.address().url(false);
        let service = Service {
            name: "test",
            handler: Arc::new(Refusing(LENGTH)),
            tls: None,
            metrics: Metrics::new(Program::codec_server("1")),
        };
        let limits = ConnectionLimits {
            max_connections: 10,
            max_headers: 8 << 10,
            header: Duration::from_mins(1),
            write: Duration::from_mins(1),
            answer: Duration::from_mins(1),
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { connection::serve(listener, service, &limits, stop).await }
        });
        let address = url.strip_prefix("http://").unwrap();
        for _ in 0..10 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; LENGTH]).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(answer.ends_with("refused"), "{answer}");
        }
        stop.cancel();
        serving.await.unwrap();
    }
}
