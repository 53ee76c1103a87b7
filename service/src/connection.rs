//! Serves HTTP/1.1 and HTTP/2 on connections of a [`Listener`], within limits, until told to stop.

mod activity;
mod answer_io;
mod handler;
mod http_connection;
mod info;
mod long_answer;
mod protocol;

use std::{convert::Infallible, fmt, future::pending, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, Version};
use hyper::{body::Incoming, service::service_fn};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::{
    activity::{Activity, ActivityLimits, Overdue},
    answer_io::{AnswerIo, WriteLimits},
    http_connection::Http,
    long_answer::LongAnswer,
    protocol::Protocol,
};
pub use self::{handler::Handler, info::ConnectionInfo, protocol::READ_BUFFER};
use crate::{
    auth::ClientCertificate,
    listener::{Listener, Stream},
    telemetry::Metrics,
    tls::{Agreed as _, Tls},
};

/// How long a handshake that has begun may still take then.
const LAST_HANDSHAKE: Duration = Duration::from_secs(1);

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
    /// Bytes of a request's head, with the first line and the ends of all lines.
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
    http: Http,
    handler: Arc<dyn Handler>,
    tls: Option<Arc<Tls>>,
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
        Self {
            http: Http::new(limits),
            handler,
            tls,
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
            return self.serve_http(None, stream, info, pending()).await;
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
        let version = if stream.is_http2() {
            Version::HTTP_2
        } else {
            Version::HTTP_11
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
        self.serve_http(Some(version), stream, info, distrusted)
            .await;
    }

    /// Returns when the server stops and handshakes that had begun have had their time.
    async fn stopped(&self) {
        self.stop.cancelled().await;
        sleep(LAST_HANDSHAKE).await;
    }

    async fn serve_http<S>(
        &self,
        version: Option<Version>,
        stream: S,
        info: ConnectionInfo,
        distrusted: impl Future<Output = ()>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (protocol, activity) = (Arc::<Protocol>::default(), Activity::new());
        let long = Arc::<LongAnswer>::default();
        let io = AnswerIo::new(
            stream,
            self.write_limits,
            Arc::clone(&protocol),
            Arc::clone(&long),
        );
        let service = service_fn({
            let (handler, activity) = (Arc::clone(&self.handler), Arc::clone(&activity));
            move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(info.clone());
                // The HTTP library and the socket limit HTTP/1.1.
                let working = (request.version() == Version::HTTP_2).then(|| activity.begin());
                let answer = handler.handle(request.map(Body::new));
                let long = Arc::clone(&long);
                async move {
                    let response = answer.await;
                    Ok::<_, Infallible>(match working {
                        Some(working) => working.answer(response),
                        None => long.watch(response),
                    })
                }
            }
        });
        let mut connection = self.http.serve(io, version, service);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            overdue = self.overdue(&protocol, &activity) => connection.end(overdue).await,
            () = distrusted => {
                connection.shut_down();
                connection.await
            }
            () = self.stop.cancelled() => connection.finish(&protocol).await,
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
