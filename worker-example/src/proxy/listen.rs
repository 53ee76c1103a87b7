//! How the proxies of a task serve their sockets: what they accept, and their limits for HTTP.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::{
    net::{UnixListener, UnixStream},
    time::sleep,
};

const HEADER_TIME: Duration = Duration::from_secs(30);
/// The bytes of a head, and how much of a body is read at once.
const MAX_HEAD: usize = 32 << 10;
pub(super) const READ_BUFFER: usize = 128 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection.
pub(super) async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a task's proxy cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A server of HTTP for one connection.
pub(super) fn http() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(MAX_HEAD)
        .max_buf_size(READ_BUFFER);
    builder
}
