//! Serves HTTP/1.1 on connections, within limits, until told to stop.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use temporal_kms_codec_service::listener::Listener;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    Response,
    answer_io::{AnswerIo, WriteLimits},
};
use crate::config::{Limits, Timeouts};

/// How long a connection without a request may still begin its first one when the server stops.
const LAST_CALL: Duration = Duration::from_millis(200);

/// A service that can be served; short for its bounds.
pub(crate) trait Serve:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Serve for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Serves until `stop`. Then it accepts the connections that the system has queued, and returns when every request in
/// flight is answered.
pub(crate) async fn serve<S: Serve>(
    listener: Listener,
    service: S,
    limits: &Limits,
    timeouts: &Timeouts,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeouts.header)
        .max_buf_size(limits.max_headers);
    let write_limits = WriteLimits {
        progress: timeouts.write,
        answer: timeouts.answer,
    };
    let stopping = stop.clone();
    let connection = move |stream: TcpStream| {
        let io = AnswerIo::new(stream, write_limits);
        let has_read = io.has_read();
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection(TokioIo::new(io), service);
        let stop = stopping.clone();
        async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => finish(connection, &has_read).await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
    };
    let max_connections = limits.max_connections;
    listener.serve(max_connections, stop, connection).await;
}

/// Answers the requests of a connection that have begun. A connection without a request may still begin its first one.
async fn finish<S: Serve>(
    mut connection: Pin<&mut Connection<S>>,
    has_read: &AtomicBool,
) -> hyper::Result<()> {
    if !has_read.load(Ordering::Relaxed)
        && let Ok(ended) = timeout(LAST_CALL, connection.as_mut()).await
    {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

type Connection<S> = http1::Connection<TokioIo<AnswerIo<TcpStream>>, TowerToHyperService<S>>;
