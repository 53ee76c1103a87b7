//! Answers health requests on a listener of their own, for a program that has no other server.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::listener::{Listener, Stream};

/// Probes and Prometheus need few.
const MOST_CONNECTIONS: usize = 64;
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The bytes of a head.
const HEAD: usize = 32 << 10;
/// A client connects again after it.
const CONNECTION_TIME: Duration = Duration::from_mins(5);

/// Answers requests by HTTP/1.1 until `stop`.
pub async fn serve(listener: Listener, routes: Router, stop: CancellationToken) {
    let until = stop.clone();
    let answer = move |stream: Stream| {
        let (routes, stop) = (routes.clone(), until.clone());
        async move {
            // A connection that is too slow, or broken, is its client's.
            let _ = timeout(CONNECTION_TIME, connection(stream, routes, stop)).await;
        }
    };
    listener.serve(MOST_CONNECTIONS, stop, answer).await;
}

async fn connection(stream: Stream, routes: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD);
    let service = TowerToHyperService::new(routes);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut connection => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;
    use crate::{
        admin::{names_no_foreign_host, routes},
        lifecycle::{Condition, KEYS, Phase, Readiness},
        telemetry::{Metrics, Program},
    };

    async fn get(address: &str, path: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_and_prometheus_are_answered_until_the_end() {
        let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(local).await.unwrap();
        let address = listener.address().to_string();
        let readiness = Readiness::new();
        let metrics = Metrics::new(Program::claude_tasks("1"));
        let routes = routes(
            Arc::clone(&readiness),
            metrics,
            Arc::new(|uri, headers| names_no_foreign_host(uri, headers, |_| false)),
            "use localhost",
        );
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, routes, stop.clone()));
        let starting = get(&address, "/readyz", "localhost").await;
        assert!(starting.starts_with("HTTP/1.1 503 "), "{starting}");
        readiness.set(KEYS, Condition::Met);
        readiness.advance(Phase::Ready);
        let ready = get(&address, "/readyz", &address).await;
        assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
        let numbers = get(&address, "/metrics", "localhost").await;
        assert!(numbers.contains("claude_tasks_build_info"), "{numbers}");
        let foreign = get(&address, "/metrics", "evil.example").await;
        assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
        // A connection that does nothing does not hold up the end.
        let _idle = TcpStream::connect(&address).await.unwrap();
        stop.cancel();
        serving.await.unwrap();
    }
}
