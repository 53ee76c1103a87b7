//! HTTP/2 without TLS, as proxies speak it, and what a hostile client does with it.

use bytes::Bytes;
use h2::Reason;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
};

use crate::support::{CodecServer, Http2, body_of, plain};

async fn socket(server: &CodecServer) -> TcpStream {
    let address = server.url().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

#[test]
fn many_requests_share_a_connection() {
    let server = CodecServer::dev();
    Runtime::new().unwrap().block_on(async {
        let connection = Http2::to(server.url()).await;
        connection.serves().await;
        let body = body_of(&plain(&["a"]));
        let requests = (0..500).map(|_| connection.post("/encode", &[], &body));
        for answer in futures::future::join_all(requests).await {
            assert_eq!(answer.unwrap().0, 200);
        }
    });
}

#[test]
fn a_foreign_authority_is_refused() {
    let server = CodecServer::serve_default("");
    Runtime::new().unwrap().block_on(async {
        let connection = Http2::to(server.url()).await;
        let mut ready = connection.0.clone().ready().await.unwrap();
        let request = http::Request::post("https://evil.example/decode");
        let (answer, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 403);
    });
}

#[test]
fn a_client_that_cancels_its_requests_is_cut_off() {
    let server = CodecServer::serve_default("body_timeout = \"1h\"");
    Runtime::new().unwrap().block_on(async {
        let connection = Http2::to(server.url()).await;
        let mut ended = false;
        // The server counts once a second. A fast client has sent thousands by then.
        for _ in 0..1_000_000 {
            let Ok(mut ready) = connection.0.clone().ready().await else {
                ended = true;
                break;
            };
            let Ok((answer, mut sender)) =
                ready.send_request(Http2::request("/encode", &[]), false)
            else {
                ended = true;
                break;
            };
            sender.send_reset(Reason::CANCEL);
            // The server sees some of them before they are cancelled.
            tokio::task::yield_now().await;
            drop(answer);
        }
        assert!(ended, "it may go on for ever");
        Http2::to(server.url()).await.serves().await;
    });
    server.serves();
}

/// The status of a request with a field of so many bytes, if the connection is not ended.
async fn refused_or_ended(connection: &Http2, bytes: usize) -> Option<u16> {
    let long = "x".repeat(bytes);
    let headers = [("x-long", long.as_str())];
    let answer = connection.post("/decode", &headers, b"{}").await;
    answer.ok().map(|(status, _)| status.as_u16())
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = CodecServer::serve_default("max_headers = \"8KiB\"");
    Runtime::new().unwrap().block_on(async {
        let connection = Http2::to(server.url()).await;
        // The limit counts names and other fields too.
        let refused = refused_or_ended(&connection, 8 << 10).await;
        assert_eq!(refused, Some(431));
        connection.serves().await;
        assert_eq!(refused_or_ended(&connection, 64 << 10).await, None);
        Http2::to(server.url()).await.serves().await;
    });
}

#[test]
fn idle_connections_are_closed() {
    let server = CodecServer::serve_default("header_timeout = \"300ms\"");
    Runtime::new().unwrap().block_on(async {
        // Half of the beginning of HTTP/2, which may still become HTTP/1.1.
        let mut half = socket(&server).await;
        half.write_all(b"PRI * HT").await.unwrap();
        let mut rest = Vec::new();
        half.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        // The beginning and no request.
        let mut idle = socket(&server).await;
        idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        idle.read_to_end(&mut rest).await.unwrap();
        // A connection whose last request is answered.
        let connection = Http2::to(server.url()).await;
        connection.serves().await;
        while let Ok(ready) = connection.0.clone().ready().await {
            drop(ready);
            tokio::task::yield_now().await;
        }
        Http2::to(server.url()).await.serves().await;
    });
}

#[test]
fn clients_that_take_no_answer_are_not_kept() {
    let mut server = CodecServer::serve_default("answer_timeout = \"300ms\"");
    let large = body_of(&plain(&[&"x".repeat(1 << 20)]));
    Runtime::new().unwrap().block_on(async {
        let connection = Http2::to(server.url()).await;
        let mut ready = connection.0.clone().ready().await.unwrap();
        let request = Http2::request("/decode", &[]);
        let (answer, mut sender) = ready.send_request(request, false).unwrap();
        sender.send_data(Bytes::from(large), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        // The window of the stream is never widened.
        let mut body = answer.into_body();
        while let Some(Ok(_)) = body.data().await {}
    });
    server.wait_for_log("overdue=Unread");
    server.serves();
}
