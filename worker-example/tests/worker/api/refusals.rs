//! Refusals that come before the client has sent its request.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use serde_json::{Value, json};

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

/// Each refusal that the API can give by itself, also of what is not UTF-8, and on every route.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_json() {
    let rig = Rig::new().await;
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&configuration);
    let bearer = format!("\r\nauthorization: Bearer {ann}");
    let refused = |head: &str, expected: &str| {
        let mut stream = api.open(&format!("{head}\r\nconnection: close"), "{}");
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head_of_answer, body) = text.split_once("\r\n\r\n").unwrap();
        let status = format!("HTTP/1.1 {expected} ");
        assert!(text.starts_with(&status), "{head}: {text}");
        let kind = "content-type: application/json; charset=utf-8";
        assert!(head_of_answer.contains(kind), "{head}: {text}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{head}: {text}"));
        let error = body["error"].as_str().unwrap();
        assert!(!error.is_empty(), "{head}: {text}");
    };
    for (method, path) in [
        ("GET", "/tasks/ID"),
        ("GET", "/tasks/ID/events"),
        ("GET", "/tasks/ID/logs"),
        ("POST", "/cancel/ID"),
    ] {
        for id in ["%ff", "%c3%28", "a.b", "%2e%2e", "%00", "%", "%zz", "a%20b"] {
            let head = format!("{method} {} HTTP/1.1", path.replace("ID", id));
            refused(&head, "401");
            refused(&format!("{head}{bearer}"), "400");
        }
        let head = format!("{method} {} HTTP/1.1", path.replace("ID", "unknown"));
        refused(&format!("{head}{bearer}"), "404");
        for wrong in ["PUT", "OPTIONS", "NONSENSE"] {
            let head = format!("{wrong} {} HTTP/1.1", path.replace("ID", "%ff"));
            refused(&format!("{head}{bearer}"), "405");
        }
    }
    for path in [
        "/",
        "/health",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/run",
        "/run-async",
        "/tasks",
        "/tasks/status",
    ] {
        refused(&format!("DELETE {path} HTTP/1.1{bearer}"), "405");
    }
    for path in [
        "/nowhere",
        "/%ff",
        "/tasks/",
        "/tasks/a/b",
        "//run",
        "/cancel",
    ] {
        refused(&format!("GET {path} HTTP/1.1{bearer}"), "404");
    }
    for path in ["/run", "/run-async", "/tasks"] {
        refused(&format!("POST {path} HTTP/1.1"), "401");
        refused(&format!("POST {path} HTTP/1.1{bearer}"), "400");
        // Queries are not read there.
        refused(&format!("POST {path}?a=%ff&&= HTTP/1.1{bearer}"), "400");
    }
}

/// A client that sends its whole body before it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_does_not_hide_the_refusal_over_http1() {
    let rig = Rig::new().await;
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&configuration);
    let body = "x".repeat((2 << 20) + 1);
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
