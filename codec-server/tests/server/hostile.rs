//! Bad input: each gets the right status and a clear text, and the server serves the next request.

use serde_json::json;

use crate::support::{CodecServer, body_of, plain, post};

#[test]
fn malformed_bodies_are_refused() {
    let server = CodecServer::dev();
    for (body, words) in [
        ("", "the body is empty"),
        ("  \n", "the body is empty"),
        (r#"{"payloads":[null]}"#, "`payloads[0]` is null"),
        ("null", "the body is not an object"),
        ("[]", "the body is not an object"),
        (r#""text""#, "the body is not an object"),
        (r#"{"payloads":{}}"#, "`payloads` is not a list"),
        (r#"{"payloads":[7]}"#, "`payloads[0]` is not a payload"),
        (
            r#"{"payloads":[{"data":"%%%"}]}"#,
            "`payloads[0].data` is not base64",
        ),
        (
            r#"{"payloads":[{"data":7}]}"#,
            "`payloads[0].data` is not a base64 string",
        ),
        (
            r#"{"payloads":[{"metadata":{"encoding":"a b"}}]}"#,
            "`payloads[0].metadata.*` is not base64",
        ),
        (
            r#"{"payloads":[{"metadata":[]}]}"#,
            "`payloads[0].metadata` is not an object",
        ),
        (
            r#"{"payloads":[{"externalPayloads":[{"sizeBytes":"x"}]}]}"#,
            "is not a 64-bit integer",
        ),
        (r#"{"payloads":[]}garbage"#, "not JSON"),
        (r#"{"payloads":[}"#, "not JSON"),
        (r#"{"payloads":["#, "it ends too early"),
        (
            r#"{"payloads":[],"payloads":[]}"#,
            "`payloads` is given twice",
        ),
        (
            r#"{"payloads":[{"data":"","data":"QQ=="}]}"#,
            "`payloads[0].data` is given twice",
        ),
        (
            r#"{"payloads":[{"metadata":{"a":"","a":""}}]}"#,
            "`payloads[0].metadata.*` is given twice",
        ),
    ] {
        for path in ["/decode", "/encode"] {
            server.post(path, &[], body.as_bytes()).refused(400, words);
            server.serves();
        }
    }
    server
        .post("/decode", &[], b"{\"payloads\":[],\"\xff\":1}")
        .refused(400, "not UTF-8");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    server
        .post("/decode", &[], deep.as_bytes())
        .refused(400, "not an object");
    server.serves();
}

#[test]
fn oversized_requests_are_refused() {
    let server = CodecServer::serve_default("max_body = \"64KiB\"\nmax_payloads = 3");
    let large = plain(&[&"x".repeat(100_000)]);
    server
        .call("/encode", "default", &large)
        .refused(413, "larger than 65536 bytes");
    server.serves();

    // Announced as endless, and as far too large without being sent.
    let mut connection = server.connect();
    connection.send(b"POST /encode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..20 {
        connection.send(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes());
    }
    connection.send(b"0\r\n\r\n");
    connection.answer().refused(413, "larger than 65536 bytes");
    let mut connection = server.connect();
    connection.send(
        b"POST /encode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999999\r\n\r\n",
    );
    connection.half_close();
    connection.answer().refused(413, "larger than 65536 bytes");
    server.serves();

    server
        .call("/encode", "default", &plain(&["a", "b", "c", "d"]))
        .refused(413, "more than 3 payloads");
    assert_eq!(
        server
            .call("/encode", "default", &plain(&["a", "b", "c"]))
            .status,
        200
    );
}

#[test]
fn what_decompression_makes_of_a_request_is_limited() {
    let server = CodecServer::serve(
        "max_answer = \"300KiB\"",
        "[namespaces.default]\nencrypt = [\"local://a\"]\ncompression = \"zstd\"\nmax_decompressed = \"200KiB\"",
    );
    let text = "a".repeat(150 << 10);
    let sealed = server.encode("default", &plain(&[&text]))["payloads"][0].clone();
    assert_eq!(
        server
            .call("/decode", "default", &json!({"payloads": [sealed]}))
            .status,
        200
    );
    let body = json!({"payloads": vec![sealed; 3]});
    assert!(body_of(&body).len() < 10_000, "a small request");
    server
        .call("/decode", "default", &body)
        .refused(413, "decoded payloads are larger");
    let bomb = server.encode("default", &plain(&[&"a".repeat(1 << 20)]));
    assert_eq!(server.call("/decode", "default", &bomb).status, 400);
    server.serves();
}

#[test]
fn slow_clients_are_not_waited_for() {
    let server = CodecServer::serve_default("header_timeout = \"300ms\"\nbody_timeout = \"300ms\"");
    let body = body_of(&plain(&["a"]));
    let mut slow_body = server.connect();
    let request = post("/encode", &[], &body);
    slow_body.send(&request[..request.len() - 1]);
    slow_body.answer().refused(408, "did not arrive in time");
    server.serves();

    let mut slow_head = server.connect();
    slow_head.send(b"POST /encode HTTP/1.1\r\nHost: local");
    let rest = slow_head.rest();
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "closed");
    server.serves();

    let idle = server.connect();
    assert!(idle.rest().is_empty(), "closed without a word");
    server.serves();
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_again() {
    let mut server = CodecServer::serve_default("max_requests = 1");
    let request = post("/encode", &[], &body_of(&plain(&["first"])));
    let (most, last) = request.split_at(request.len() - 1);
    let mut first = server.connect();
    // The answer to `100-continue` says that its place is taken.
    let text = String::from_utf8(most.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    first.send(format!("{head}\r\nExpect: 100-continue\r\n\r\n").as_bytes());
    assert!(first.head().contains("100 Continue"));

    let second = server.call("/encode", "default", &plain(&["second"]));
    second.refused(429, "busy");
    assert_eq!(second.header("retry-after"), Some("1"));

    first.send(body.as_bytes());
    first.send(last);
    assert!(String::from_utf8(first.rest()).unwrap().contains("200 OK"));
    server.serves();
    server.wait_for_log("status=429");
}

#[test]
fn clients_that_take_no_answer_are_not_kept() {
    let mut server = CodecServer::serve_default("write_timeout = \"200ms\"\nmax_body = \"64MiB\"");
    let large = plain(&[&"x".repeat(24 << 20)]);
    let mut deaf = server.connect();
    deaf.send(&post("/decode", &[], &body_of(&large)));
    server.wait_for_log("a connection ended early");
    server.serves();
}

#[test]
fn malformed_http_does_no_harm() {
    let server = CodecServer::dev();
    let big_header = format!(
        "POST /decode HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    for (request, status) in [
        (&b"GARBAGE\r\n\r\n"[..], 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"POST /decode HTTP/9.9\r\n\r\n", 400),
        (b"POST /decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /decode HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 403),
        (b"POST /decode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (big_header.as_bytes(), 431),
    ] {
        let mut connection = server.connect();
        connection.send(request);
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&request[..request.len().min(80)]));
        server.serves();
    }
    // A body that breaks off, and a client that never reads.
    let mut broken = server.connect();
    broken.send(
        b"POST /decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"payloads\"",
    );
    drop(broken);
    let mut deaf = server.connect();
    deaf.send(&post("/encode", &[], &body_of(&plain(&["a"]))));
    drop(deaf);
    server.serves();
}
