//! Refusals that come before the client has sent its request.

use std::{
    io::{BufReader, Write as _},
    net::TcpStream,
    process::Command,
};

use serde_json::json;

use super::support::{callers, next_line};
use crate::support::{LIMIT, Rig};

/// curl 7.88 lost about one in four of them.
const ATTEMPTS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn curl_sees_every_refusal_over_http2() {
    let rig = Rig::new().await;
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&configuration);
    let body = rig.folder.path().join("body");
    let request = json!({"prompt": "x".repeat(30_000), "anthropicApiKey": "k"});
    std::fs::write(&body, request.to_string()).unwrap();
    let bearer = format!("authorization: Bearer {ann}");
    let bearer = bearer.as_str();
    let (json, text) = ("content-type: application/json", "content-type: text/plain");
    for (path, headers, expected) in [
        ("/run", [json, "x-nothing: 1"], "401"),
        ("/tasks", [json, "authorization: Bearer wrong"], "401"),
        ("/run", [text, bearer], "415"),
        ("/cancel/task", [json, bearer], "404"),
        ("/nowhere", [json, bearer], "404"),
        ("/health", [json, bearer], "405"),
    ] {
        for attempt in 0..ATTEMPTS {
            let mut curl = Command::new("curl");
            for header in headers {
                curl.args(["--header", header]);
            }
            let output = curl
                .args(["--silent", "--show-error", "--http2-prior-knowledge"])
                .args(["--write-out", "%{http_version} %{http_code}"])
                .args(["--output", "/dev/null", "--data-binary"])
                .arg(format!("@{}", body.display()))
                .arg(format!("{}{path}", api.url))
                .output()
                .unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            let problem = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{path} {attempt}: {problem}");
            assert_eq!(shown, format!("2 {expected}"), "{path}");
        }
    }
}

/// A client that sends its whole body before it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_does_not_hide_the_refusal_over_http1() {
    let rig = Rig::new().await;
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&configuration);
    let body = "x".repeat(2 << 20);
    let bearer = format!("authorization: Bearer {ann}");
    for (path, header, expected) in [
        ("/run", "x-nothing: 1", "401"),
        ("/tasks", "authorization: Bearer wrong", "401"),
        ("/run", &bearer, "413"),
        ("/cancel/task", &bearer, "404"),
        ("/nowhere", &bearer, "404"),
        ("/health", &bearer, "405"),
    ] {
        for attempt in 0..5 {
            let mut stream = api.open(&format!("POST {path} HTTP/1.1\r\n{header}"), &body);
            let status = next_line(&mut stream, "HTTP/1.1 ").unwrap();
            assert!(status.starts_with(expected), "{path} {attempt}: {status}");
        }
    }
}

/// A client that does not say how long its body is, waits for `100 Continue`, and sends everything before it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_asked_for_does_not_hide_the_refusal_over_http1() {
    let rig = Rig::new().await;
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&configuration);
    let address = api.address();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let body = chunk.repeat(64) + "0\r\n\r\n";
    for attempt in 0..5 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(
            stream,
            "POST /run HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {ann}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .unwrap();
        let mut stream = BufReader::new(stream);
        let asked = next_line(&mut stream, "HTTP/1.1 ").unwrap();
        assert!(asked.starts_with("100"), "{attempt}: {asked}");
        stream.get_mut().write_all(body.as_bytes()).unwrap();
        let status = next_line(&mut stream, "HTTP/1.1 ").unwrap();
        assert!(status.starts_with("413"), "{attempt}: {status}");
    }
}
