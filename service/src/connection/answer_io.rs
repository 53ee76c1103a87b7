//! A connection's socket, with limits on how slowly a client may read an answer. It also sees which version of HTTP the
//! client speaks.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    long_answer::LongAnswer,
    protocol::{PREFACE, Protocol},
};
use crate::deadline::later;

/// How slowly a client may read an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteLimits {
    /// Until it reads the next bytes.
    pub(super) progress: Duration,
    /// Until it has the whole answer.
    pub(super) answer: Duration,
}

/// A socket that fails when the client is too slow. HTTP flushes it at the end of each answer, and between the parts of a long
/// one.
pub(super) struct AnswerIo<S> {
    socket: S,
    limits: WriteLimits,
    /// When the client must have read the answer that it has begun to wait with.
    answer_by: Option<Instant>,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    protocol: Arc<Protocol>,
    long: Arc<LongAnswer>,
    /// Bytes that showed the version, to be read again.
    ahead: BytesMut,
}

impl<S> AnswerIo<S> {
    pub(super) fn new(
        socket: S,
        limits: WriteLimits,
        protocol: Arc<Protocol>,
        long: Arc<LongAnswer>,
    ) -> Self {
        Self {
            socket,
            limits,
            answer_by: None,
            stalled: None,
            protocol,
            long,
            ahead: BytesMut::new(),
        }
    }

    fn poll_limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.answer_by.is_some_and(|by| Instant::now() >= by) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match write(&mut self.socket, cx) {
            Poll::Ready(done) => {
                self.stalled = None;
                Poll::Ready(done)
            }
            Poll::Pending => {
                // The system takes most answers at once, and they need no clock.
                let answer_by = *self
                    .answer_by
                    .get_or_insert_with(|| later(self.limits.answer));
                let limit = self.limits.progress;
                let stalled = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(sleep_until(later(limit).min(answer_by))));
                ready!(stalled.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AnswerIo<S> {
    /// Waits until the client has shown which version of HTTP it speaks. Every byte is read again as usual.
    pub(super) fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        loop {
            if let Some(version) = self.protocol.version() {
                return Poll::Ready(Ok(version));
            }
            let mut bytes = [0; PREFACE.len()];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                // The end of the connection looks the same in both versions.
                return Poll::Ready(Ok(Version::HTTP_11));
            }
            self.protocol.saw(buffer.filled());
            self.ahead.extend_from_slice(buffer.filled());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AnswerIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if let Some(read) = buffer.filled().get(before..) {
            self.protocol.saw(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnswerIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_limited(cx, |socket, cx| Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_limited(cx, |socket, cx| {
            Pin::new(socket).poll_write_vectored(cx, parts)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS holds bytes back until they are flushed, so this can wait for the client too.
        ready!(self.poll_limited(cx, |socket, cx| Pin::new(socket).poll_flush(cx)))?;
        if !self.long.is_unfinished() {
            self.answer_by = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::{body::Body, response::Response};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMITS: WriteLimits = WriteLimits {
        progress: Duration::from_secs(2),
        answer: Duration::from_mins(1),
    };

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_little_each_second_is_cut_off() {
        let (server, mut client) = duplex(1024);
        let mut server = AnswerIo::new(server, LIMITS, Arc::default(), Arc::default());
        let start = Instant::now();
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 1000];
            while client.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = server.write_all(&vec![0; 1 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waited = start.elapsed();
        assert!(
            waited >= LIMITS.answer && waited < LIMITS.answer + LIMITS.progress,
            "{waited:?}"
        );
        drop(server);
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off_earlier() {
        let (server, client) = duplex(1024);
        let mut server = AnswerIo::new(server, LIMITS, Arc::default(), Arc::default());
        let start = Instant::now();
        let error = server.write_all(&[0; 2048]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), LIMITS.progress);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let (server, mut client) = duplex(1024);
        let mut server = AnswerIo::new(server, LIMITS, Arc::default(), Arc::default());
        for _ in 0..3 {
            server.write_all(&[0; 1000]).await.unwrap();
            server.flush().await.unwrap();
            client.read_exact(&mut [0; 1000]).await.unwrap();
            tokio::time::sleep(LIMITS.answer).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_parts_of_a_long_answer_have_its_time_together() {
        let (server, mut client) = duplex(1024);
        let long = Arc::<LongAnswer>::default();
        let mut server = AnswerIo::new(server, LIMITS, Arc::default(), Arc::clone(&long));
        let body = Body::from(vec![0; 1 << 20]);
        let unfinished = long.watch(Response::new(body));
        let start = Instant::now();
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 1000];
            while client.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            if let Err(error) = server.write_all(&[0; 5000]).await {
                break error;
            }
            server.flush().await.unwrap();
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waited = start.elapsed();
        assert!(
            waited >= LIMITS.answer && waited < LIMITS.answer + LIMITS.progress,
            "{waited:?}"
        );
        drop((unfinished, server));
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn bytes_that_show_the_version_are_read_again() {
        for (sent, version) in [
            (&b"P"[..], Version::HTTP_11),
            (b"PRI * HTTP/1.1\r\n", Version::HTTP_11),
            (
                b"POST /decode HTTP/1.1\r\nHost: localhost\r\n\r\n",
                Version::HTTP_11,
            ),
            (&[PREFACE, b"frames"].concat(), Version::HTTP_2),
        ] {
            // One byte after the other.
            let (server, mut client) = duplex(1);
            let mut server = AnswerIo::new(server, LIMITS, Arc::default(), Arc::default());
            let sending = async {
                client.write_all(sent).await.unwrap();
                drop(client);
            };
            let reading = async {
                let shown = poll_fn(|cx| server.poll_version(cx)).await.unwrap();
                let mut received = Vec::new();
                server.read_to_end(&mut received).await.unwrap();
                (shown, received)
            };
            let ((), (shown, received)) = tokio::join!(sending, reading);
            assert_eq!(shown, version);
            assert_eq!(received, sent);
        }
    }
}
