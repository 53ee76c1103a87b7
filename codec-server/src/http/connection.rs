//! Accepting connections and serving HTTP/1.1 on them, within limits, until told to stop.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    Response,
    answer_io::{AnswerIo, WriteLimits},
};
use crate::config::{Limits, Timeouts};

/// How long to wait after a failure to accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// As many connections as tokio lets the system queue.
const MOST_QUEUED: usize = 1024;
/// How long a connection may still begin its first request when the server stops. Its client was let in before.
const LAST_CALL: Duration = Duration::from_millis(200);

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

/// Serves until `stop`; then takes what the system has queued already, and returns when every request in flight is
/// answered.
pub(crate) async fn serve<S: Serve>(
    listener: TcpListener,
    service: S,
    limits: &Limits,
    timeouts: &Timeouts,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeouts.header)
        .max_buf_size(limits.max_headers);
    // Each connection holds a sender: the channel is closed when all have ended.
    let (open, mut all_closed) = mpsc::channel(1);
    let connections = Connections {
        http,
        service,
        write_limits: WriteLimits {
            progress: timeouts.write,
            answer: timeouts.answer,
        },
        stop: stop.clone(),
        open,
    };
    let places = Arc::new(Semaphore::new(limits.max_connections));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, _))) => connections.spawn(stream, Some(place)),
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), _) => break,
        }
    }
    for stream in queued(listener) {
        connections.spawn(stream, None);
    }
    drop(connections);
    let _ = all_closed.recv().await;
}

/// The connections that the system has accepted already. Closing the listener would reset them.
fn queued(listener: TcpListener) -> Vec<TcpStream> {
    let listener = match listener.into_std() {
        Ok(listener) => listener,
        Err(error) => {
            tracing::debug!(%error, "the queue of connections cannot be read");
            return Vec::new();
        }
    };
    let accept = || {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    };
    std::iter::from_fn(accept).take(MOST_QUEUED).collect()
}

/// What all connections share.
struct Connections<S> {
    http: http1::Builder,
    service: S,
    write_limits: WriteLimits,
    stop: CancellationToken,
    open: mpsc::Sender<Infallible>,
}

impl<S: Serve> Connections<S> {
    fn spawn(&self, stream: TcpStream, place: Option<OwnedSemaphorePermit>) {
        // Answers are small and whole; waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let io = AnswerIo::new(stream, self.write_limits);
        let has_read = io.has_read();
        let service = TowerToHyperService::new(self.service.clone());
        let connection = self.http.serve_connection(TokioIo::new(io), service);
        let (stop, open) = (self.stop.clone(), self.open.clone());
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = stop.cancelled() => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    if !has_read.load(Ordering::Relaxed)
                        && let Ok(ended) = timeout(LAST_CALL, connection.as_mut()).await
                    {
                        ended
                    } else {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop((place, open));
        });
    }
}
