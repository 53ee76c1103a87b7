//! Serves HTTP/1.1 and HTTP/2 on connections of a [`Listener`], within limits, until told to stop.

mod activity;
mod answer_io;
mod handler;
mod head;
mod info;
mod protocol;

use std::{
    convert::Infallible,
    fmt,
    future::pending,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::{Request, Version};
use hyper::{body::Incoming, rt, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    activity::{Activity, ActivityLimits, Overdue},
    answer_io::{AnswerIo, WriteLimits},
    protocol::Protocol,
};
pub use self::{handler::Handler, info::ConnectionInfo};
use crate::{
    auth::ClientCertificate,
    listener::{Listener, Stream},
    telemetry::Metrics,
    tls::{Agreed as _, Tls},
};

/// How long a connection without a request may still begin its first one when the server stops.
const LAST_CALL: Duration = Duration::from_millis(200);
/// How long a handshake that has begun may still take then.
const LAST_HANDSHAKE: Duration = Duration::from_secs(1);
/// How long the client of an idle connection has to agree to its end.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much of a body of HTTP/1.1 is read at once. The HTTP library takes so much memory only while a client fills it.
const READ_BUFFER: usize = 128 << 10;

/// The requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;
/// The bytes of bodies that one HTTP/2 connection, and one request, may send before they are read. The HTTP library holds
/// them, so they are not counted elsewhere.
const CONNECTION_WINDOW: u32 = 256 << 10;
const STREAM_WINDOW: u32 = 64 << 10;
/// Requests that a client may cancel before they are seen, and errors that it may cause (CVE-2023-44487).
const MAX_RESETS: usize = 20;

/// What a listener serves.
pub struct Service {
    /// The listener's name in metrics.
    pub name: &'static str,
    /// Answers the requests.
    pub handler: Arc<dyn Handler>,
    /// Certificates, if it speaks TLS.
    pub tls: Option<Arc<Tls>>,
    /// Counts the connections.
    pub metrics: Arc<Metrics>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The limits of connections.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "each server decides on each limit"
)]
pub struct ConnectionLimits {
    /// Connections that are open at the same time.
    pub max_connections: usize,
    /// Bytes of a request's head.
    pub max_headers: usize,
    /// The time for a request's head. An idle connection is closed after the same time.
    pub header: Duration,
    /// The time for a client that does not read its answer.
    pub write: Duration,
    /// The time for a client to read a whole answer. Of an answer that is a stream, the time for each part with HTTP/1.1.
    pub answer: Duration,
}

/// Serves until `stop`. Then it accepts the connections that the system has queued, and returns when every request in
/// flight is answered.
pub async fn serve(
    listener: Listener,
    service: Service,
    limits: &ConnectionLimits,
    stop: CancellationToken,
) {
    let Service {
        name,
        handler,
        tls,
        metrics,
    } = service;
    let connections = Connections::new(handler, tls, limits, stop.clone());
    let connections = Arc::new(connections);
    let connection = move |stream: Stream| {
        let (connections, metrics) = (Arc::clone(&connections), Arc::clone(&metrics));
        async move {
            let _open = metrics.requests().connected(name);
            connections.serve(stream).await;
        }
    };
    let max_connections = limits.max_connections;
    listener.serve(max_connections, stop, connection).await;
}

/// What all connections of a listener share.
struct Connections {
    /// For connections whose client has not said which version it speaks.
    any: auto::Builder<TokioExecutor>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    handler: Arc<dyn Handler>,
    tls: Option<Arc<Tls>>,
    max_headers: usize,
    write_limits: WriteLimits,
    activity_limits: ActivityLimits,
    stop: CancellationToken,
}

impl Connections {
    fn new(
        handler: Arc<dyn Handler>,
        tls: Option<Arc<Tls>>,
        limits: &ConnectionLimits,
        stop: CancellationToken,
    ) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(limits.max_headers.max(READ_BUFFER));
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(limits.max_headers).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS);
        Self {
            http1: http.clone().http1_only(),
            http2: http.clone().http2_only(),
            any: http,
            handler,
            tls,
            max_headers: limits.max_headers,
            write_limits: WriteLimits {
                progress: limits.write,
                answer: limits.answer,
            },
            activity_limits: ActivityLimits {
                idle: limits.header,
                answer: limits.answer,
            },
            stop,
        }
    }

    /// Serves one connection to its end.
    async fn serve(&self, stream: Stream) {
        let peer = stream.peer().clone();
        let Some(tls) = &self.tls else {
            let info = ConnectionInfo::plain(peer);
            return self.serve_http(&self.any, stream, info, pending()).await;
        };
        let mut trust = tls.client_trust();
        let accepted = tokio::select! {
            accepted = tls.accept(stream) => accepted,
            () = self.stopped() => return,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%peer, %error, "no TLS connection"),
        };
        let shown = stream.client_certificate();
        let certificate = match shown
            .map(|der| ClientCertificate::from_der(der))
            .transpose()
        {
            Ok(certificate) => certificate,
            Err(error) => return tracing::warn!(%peer, %error, "refused a connection"),
        };
        let http = if stream.is_http2() {
            &self.http2
        } else {
            &self.http1
        };
        let has_certificate = certificate.is_some();
        let info = ConnectionInfo::secure(peer, certificate);
        // A certificate may count no more with other authorities or revocation lists.
        let distrusted = async {
            if has_certificate {
                trust.changed().await;
            } else {
                pending::<()>().await;
            }
        };
        self.serve_http(http, stream, info, distrusted).await;
    }

    /// Returns when the server stops and handshakes that had begun have had their time.
    async fn stopped(&self) {
        self.stop.cancelled().await;
        sleep(LAST_HANDSHAKE).await;
    }

    async fn serve_http<S>(
        &self,
        http: &auto::Builder<TokioExecutor>,
        stream: S,
        info: ConnectionInfo,
        distrusted: impl Future<Output = ()>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (protocol, activity) = (Arc::<Protocol>::default(), Activity::new());
        let io = AnswerIo::new(stream, self.write_limits, Arc::clone(&protocol));
        let service = service_fn({
            let (handler, activity) = (Arc::clone(&self.handler), Arc::clone(&activity));
            let max_headers = self.max_headers;
            move |mut request: Request<Incoming>| {
                let is_too_long = head::len(&request) > max_headers;
                request.extensions_mut().insert(info.clone());
                // The HTTP library and the socket limit HTTP/1.1.
                let working = (request.version() == Version::HTTP_2).then(|| activity.begin());
                let answer = (!is_too_long).then(|| handler.handle(request.map(Body::new)));
                async move {
                    let response = match answer {
                        Some(answer) => answer.await,
                        None => head::too_long(),
                    };
                    Ok::<_, Infallible>(match working {
                        Some(working) => working.answer(response),
                        None => response,
                    })
                }
            }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            overdue = self.overdue(&protocol, &activity) => end(connection, overdue).await,
            () = distrusted => {
                connection.as_mut().shut_down();
                connection.await
            }
            () = self.stop.cancelled() => finish(connection, &protocol).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Returns when a connection of HTTP/2, or of a version that is not known yet, must end.
    async fn overdue(&self, protocol: &Protocol, activity: &Activity) -> Overdue {
        let overdue = activity.overdue(self.activity_limits).await;
        if protocol.is_http1() {
            return pending().await;
        }
        overdue
    }
}

/// A connection of either version.
trait Connection: Future<Output = Result<(), BoxError>> {
    /// Takes no further request, and ends after those in flight.
    fn shut_down(self: Pin<&mut Self>);
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<I, S, F, B> Connection for auto::Connection<'_, I, S, TokioExecutor>
where
    I: rt::Read + rt::Write + Unpin + 'static,
    S: hyper::service::Service<
            Request<Incoming>,
            Response = http::Response<B>,
            Error = Infallible,
            Future = F,
        >,
    F: Future<Output = Result<http::Response<B>, Infallible>> + Send + 'static,
    B: hyper::body::Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Answers the requests of a connection that have begun. A connection without a request may still begin its first one.
async fn finish(
    mut connection: Pin<&mut impl Connection>,
    protocol: &Protocol,
) -> Result<(), BoxError> {
    if !protocol.has_begun()
        && let Ok(ended) = timeout(LAST_CALL, connection.as_mut()).await
    {
        return ended;
    }
    connection.as_mut().shut_down();
    connection.await
}

/// Ends a connection that has no request that its client waits for.
async fn end(mut connection: Pin<&mut impl Connection>, overdue: Overdue) -> Result<(), BoxError> {
    tracing::debug!(?overdue, "a connection is closed");
    if overdue == Overdue::Idle {
        connection.as_mut().shut_down();
        if let Ok(ended) = timeout(GOODBYE, connection).await {
            return ended;
        }
    }
    Ok(())
}
