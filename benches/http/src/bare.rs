//! The handler behind the HTTP library, without the limits of the codec server's connections.

use std::convert::Infallible;

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use temporal_kms_codec_server::bench::Handler;
use tokio::net::{TcpListener, TcpStream};

/// Serves on a free port until the process ends.
pub(crate) async fn serve(handler: Handler, by_routes: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, handler.clone(), by_routes));
    }
}

async fn connection(stream: TcpStream, handler: Handler, by_routes: bool) {
    let answer = service_fn(|request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let request = request.map(Body::new);
            Ok::<_, Infallible>(if by_routes {
                handler.answer_by_routes(request).await
            } else {
                handler.answer(request).await
            })
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // A client may leave at any time. A benchmark whose requests fail says so itself.
    drop(connection.await);
}
