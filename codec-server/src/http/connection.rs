//! Accepting connections and serving HTTP/1.1 on them, within limits, until told to stop.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use super::Response;
use crate::{
    config::{Limits, Timeouts},
    shutdown::Stop,
};

/// How long to wait after a failure to accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A service that can be served: a name for the bounds.
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

/// Serves until `stop`; then takes no more connections and returns when the requests in flight are answered.
pub(crate) async fn serve<S: Serve>(
    listener: TcpListener,
    service: S,
    limits: &Limits,
    timeouts: &Timeouts,
    mut stop: Stop,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeouts.header)
        .max_buf_size(limits.max_headers);
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.max_connections));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = accepted => accepted,
        };
        let (Ok(place), stream) = (place, accepted) else {
            break;
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let io = TokioIo::new(with_write_timeout(stream, timeouts.write));
        let service = TowerToHyperService::new(service.clone());
        let connection = connections.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

fn with_write_timeout(
    stream: TcpStream,
    timeout: Duration,
) -> std::pin::Pin<Box<TimeoutStream<TcpStream>>> {
    // Answers are small and whole; waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    Box::pin(stream)
}
