//! The server over HTTP, as the CLI calls it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test needs and does not find fails it"
)]

use fake_anthropic::{CredentialKind, Options, Server, sha256_hex};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn start(options: Options) -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), options)
        .await
        .unwrap()
}

/// Sends one request and returns status and body.
async fn call(server: &Server, request: &str, key: Option<&str>, body: &Value) -> (u16, String) {
    let address = server.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let key = key
        .map(|key| format!("x-api-key: {key}\r\n"))
        .unwrap_or_default();
    let body = body.to_string();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{key}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

fn prompt(text: &str, stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]})
}

const MESSAGES: &str = "POST /v1/messages?beta=true";

#[tokio::test]
async fn answers_in_both_forms() {
    let server = start(Options::default()).await;
    let (status, body) = call(&server, MESSAGES, Some("k"), &prompt("hello", false)).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["content"][0]["text"]),
        (200, &json!("You asked: hello"))
    );
    let (status, body) = call(&server, MESSAGES, Some("k"), &prompt("hello", true)).await;
    assert_eq!(status, 200);
    for event in [
        "message_start",
        "content_block_delta",
        "You asked: hello",
        "message_stop",
    ] {
        assert!(body.contains(event), "{event} in {body}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_has_no_end() {
    let server = start(Options::default()).await;
    for (streamed, begun) in [(true, "You asked: hello"), (false, "")] {
        let script = prompt("hello [[cut]]", streamed);
        let (status, body) = call(&server, MESSAGES, Some("k"), &script).await;
        assert_eq!(status, 200);
        assert!(body.contains(begun), "{body}");
        for end in ["message_stop", "end_turn", "0\r\n\r\n"] {
            assert!(!body.contains(end), "{body}");
        }
    }
}

#[tokio::test]
async fn refuses_and_records_without_keeping_a_credential() {
    let server = start(Options {
        accept_sha256: Some(sha256_hex(b"good")),
    })
    .await;
    for (request, key, expected) in [
        (MESSAGES, None, 401),
        (MESSAGES, Some("bad"), 401),
        (MESSAGES, Some("good"), 200),
        ("POST /v1/messages/count_tokens", Some("good"), 200),
        ("GET /v1/messages", Some("good"), 404),
        ("HEAD /", None, 404),
        ("GET /anything", None, 404),
    ] {
        let (status, _) = call(&server, request, key, &prompt("x", false)).await;
        assert_eq!(status, expected, "{request} {key:?}");
    }
    assert_eq!(
        call(&server, MESSAGES, Some("good"), &json!("no request"))
            .await
            .0,
        400
    );
    let script = prompt("[[status:529]]", false);
    assert_eq!(call(&server, MESSAGES, Some("good"), &script).await.0, 529);

    let records = server.requests();
    assert_eq!(records.len(), 9);
    let good = records[2].credential.as_ref().unwrap();
    assert_eq!(
        (good.kind, &good.sha256),
        (CredentialKind::ApiKey, &sha256_hex(b"good"))
    );
    assert!(!format!("{records:?}").contains("good"));
    let (_, seen) = call(&server, "GET /_requests", None, &json!({})).await;
    assert_eq!(
        serde_json::from_str::<Value>(&seen).unwrap(),
        json!(records)
    );
    server.stop().await.unwrap();
}
