//! The HTTP of one connection, in the version that its client speaks.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::response::Response;
use http::{Request, Version};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{HttpService, Service},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    ConnectionLimits,
    activity::Overdue,
    answer_io::AnswerIo,
    protocol::{Protocol, READ_BUFFER},
};

/// How long a connection without a request may still begin its first one when the server stops.
const LAST_CALL: Duration = Duration::from_millis(200);
/// How long the client of an idle connection has to agree to its end.
const GOODBYE: Duration = Duration::from_secs(1);

/// The requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;
/// The bytes of bodies that one HTTP/2 connection, and one request, may send before they are read. The HTTP library holds
/// them, so they are not counted elsewhere.
const CONNECTION_WINDOW: u32 = 256 << 10;
const STREAM_WINDOW: u32 = 64 << 10;
/// Requests that a client may cancel before they are seen, and errors that it may cause (CVE-2023-44487).
const MAX_RESETS: usize = 20;

/// The settings of both versions of HTTP.
pub(super) struct Http {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Http {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            // The buffer is larger than a head may be, so that bodies are read fast.
            .max_header_size(limits.max_headers)
            .max_buf_size(limits.max_headers.max(READ_BUFFER));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(limits.max_headers).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS);
        Self { http1, http2 }
    }

    /// Serves a connection. Without a `version`, its first bytes tell the version.
    pub(super) fn serve<I, S>(
        &self,
        io: AnswerIo<I>,
        version: Option<Version>,
        service: S,
    ) -> HttpConnection<'_, I, S>
    where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
        S: Answers,
    {
        let unknown = State::Unknown {
            http: self,
            io,
            service,
        };
        HttpConnection(match version {
            Some(version) => unknown.speaking(version),
            None => unknown,
        })
    }
}

/// What answers the requests of a connection.
pub(super) trait Answers:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
{
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connection of either version. It ends with the connection.
pub(super) struct HttpConnection<'a, I, S: HttpService<Incoming>>(State<'a, I, S>);

type Http1Connection<I, S> = http1::Connection<TokioIo<AnswerIo<I>>, S>;
type Http2Connection<I, S> = http2::Connection<TokioIo<AnswerIo<I>>, S, TokioExecutor>;

enum State<'a, I, S: HttpService<Incoming>> {
    /// The client has not shown its version yet.
    Unknown {
        http: &'a Http,
        io: AnswerIo<I>,
        service: S,
    },
    Http1(Pin<Box<Http1Connection<I, S>>>),
    Http2(Pin<Box<Http2Connection<I, S>>>),
    Ended,
}

// Nothing in it is pinned in place.
impl<I, S: HttpService<Incoming>> Unpin for HttpConnection<'_, I, S> {}

impl<I, S> State<'_, I, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Answers,
{
    fn speaking(self, version: Version) -> Self {
        match self {
            Self::Unknown { http, io, service } if version == Version::HTTP_2 => {
                let connection = http.http2.serve_connection(TokioIo::new(io), service);
                Self::Http2(Box::pin(connection))
            }
            Self::Unknown { http, io, service } => {
                let connection = http.http1.serve_connection(TokioIo::new(io), service);
                Self::Http1(Box::pin(connection))
            }
            known => known,
        }
    }
}

impl<I, S> HttpConnection<'_, I, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Answers,
{
    /// Takes no further request, and ends after those in flight.
    pub(super) fn shut_down(&mut self) {
        match &mut self.0 {
            State::Http1(connection) => connection.as_mut().graceful_shutdown(),
            State::Http2(connection) => connection.as_mut().graceful_shutdown(),
            unknown => *unknown = State::Ended,
        }
    }

    /// Answers the requests that have begun. A connection without a request may still begin its first one.
    pub(super) async fn finish(&mut self, protocol: &Protocol) -> Result<(), BoxError> {
        if !protocol.has_begun()
            && let Ok(ended) = timeout(LAST_CALL, &mut *self).await
        {
            return ended;
        }
        self.shut_down();
        self.await
    }

    /// Ends a connection that has no request that its client waits for.
    pub(super) async fn end(&mut self, overdue: Overdue) -> Result<(), BoxError> {
        tracing::debug!(?overdue, "a connection is closed");
        if overdue == Overdue::Idle {
            self.shut_down();
            if let Ok(ended) = timeout(GOODBYE, self).await {
                return ended;
            }
        }
        Ok(())
    }
}

impl<I, S> Future for HttpConnection<'_, I, S>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Answers,
{
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let version = match &mut self.0 {
                State::Unknown { io, .. } => ready!(io.poll_version(cx))?,
                State::Http1(connection) => {
                    return connection.as_mut().poll(cx).map_err(Into::into);
                }
                State::Http2(connection) => {
                    return connection.as_mut().poll(cx).map_err(Into::into);
                }
                State::Ended => return Poll::Ready(Ok(())),
            };
            self.0 = mem::replace(&mut self.0, State::Ended).speaking(version);
        }
    }
}
