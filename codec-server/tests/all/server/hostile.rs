//! Bad input: each gets the right status and a clear text, and the server serves the next request.

use serde_json::{Value, json};

use nix::sys::signal::Signal;

use crate::support::{
    Answer, CodecServer, Connection, DEFAULT, allow_many_files, body_of, plain, post,
};

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
    // What exceeds `max_decompressed` is not compressed, and still exceeds the answer.
    let large = server.encode("default", &plain(&[&"a".repeat(1 << 20)]));
    server
        .call("/decode", "default", &large)
        .refused(413, "decoded payloads are larger");
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
    let rest = String::from_utf8_lossy(&rest);
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{rest}"
    );
    server.serves();

    let idle = server.connect();
    assert!(idle.rest().is_empty(), "closed without a word");
    server.serves();
}

/// A request whose body has arrived but for its last byte.
fn almost_sent(server: &CodecServer, body: &[u8]) -> Connection {
    let request = post("/encode", &[], body);
    let mut connection = server.connect();
    connection.send(&request[..request.len() - 1]);
    connection
}

#[test]
fn bodies_that_do_not_arrive_take_nobodys_place() {
    allow_many_files();
    let server = CodecServer::serve_default("body_timeout = \"1h\"");
    let body = body_of(&plain(&["a"]));
    let mut slow: Vec<Connection> = (0..128).map(|_| almost_sent(&server, &body)).collect();
    server.serves();
    slow.extend((128..1000).map(|_| almost_sent(&server, &body)));
    server.serves();
    // They are answered once they are complete.
    for mut connection in [slow.remove(0), slow.remove(900)] {
        connection.send(b"}");
        assert_eq!(connection.answer().status, 200);
    }
}

/// Memory for seven bodies of 933 KiB.
const LITTLE_MEMORY: &str = "max_body = \"1MiB\"\nmax_answer = \"64KiB\"\nmax_memory = \"6MiB\"";

/// Takes that memory, by bodies that do not end.
fn take_memory(server: &CodecServer, large: &Value) -> Vec<Connection> {
    let slow: Vec<Connection> = (0..7)
        .map(|_| almost_sent(server, &body_of(large)))
        .collect();
    // The server reads them while this asks.
    let busy = (0..100)
        .map(|_| server.call("/encode", "default", large))
        .find(|answer| answer.status != 200);
    refused_for_memory(&busy.expect("the memory is limited"));
    slow
}

#[track_caller]
fn refused_for_memory(answer: &Answer) {
    answer.refused(429, "busy");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn memory_that_slow_bodies_hold_is_missing_to_large_requests_only() {
    let mut server = CodecServer::serve_default(&format!("body_timeout = \"1h\"\n{LITTLE_MEMORY}"));
    let large = plain(&[&"x".repeat(700 << 10)]);
    let large_answer = || server.call("/encode", "default", &large);
    assert_eq!(large_answer().status, 200);
    let slow = take_memory(&server, &large);
    server.serves();

    drop(slow);
    assert!((0..100).any(|_| large_answer().status == 200));
    server.wait_for_log("status=429");
}

#[test]
fn a_body_that_waits_for_memory_is_not_late() {
    let mut server = CodecServer::serve(
        &format!("body_timeout = \"1h\"\n{LITTLE_MEMORY}"),
        &format!("[reload]\nwatch_interval = \"0s\"\n{DEFAULT}"),
    );
    let large = plain(&[&"x".repeat(700 << 10)]);
    let slow = take_memory(&server, &large);
    // Less than a request waits for memory. The slow ones began before.
    server.rewrite("body_timeout = \"1h\"", "body_timeout = \"500ms\"");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("the configuration is read again and in use");
    // On a busy machine, a body can arrive late. Then another one is sent.
    let answer = (0..20)
        .map(|_| server.call("/encode", "default", &large))
        .find(|answer| answer.status != 408);
    refused_for_memory(&answer.expect("one body arrives in time"));
    drop(slow);
}

#[test]
fn idle_connections_give_way_in_time() {
    allow_many_files();
    let server = CodecServer::serve_default("header_timeout = \"1s\"");
    let idle: Vec<Connection> = (0..1024).map(|_| server.connect()).collect();
    server.serves();
    drop(idle);
}

/// The server raises the limit of open files by itself.
#[test]
fn idle_connections_leave_files_for_other_work() {
    allow_many_files();
    let text = format!("header_timeout = \"1h\"\n[reload]\nwatch_interval = \"0s\"\n{DEFAULT}");
    let mut server = CodecServer::configured_in_a_shell("ulimit -S -n 1024", &text);
    let idle: Vec<Connection> = (0..1023).map(|_| server.connect()).collect();
    assert_eq!(server.admin("/healthz").status, 200);
    server.serves();
    // It reads files again.
    server.signal(Signal::SIGHUP);
    server.wait_for_log("the configuration is read again and in use");
    server.serves();
    drop(idle);
}

#[test]
fn clients_that_take_no_answer_are_not_kept() {
    for limit in [
        "write_timeout = \"200ms\"",
        "write_timeout = \"1h\"\nanswer_timeout = \"200ms\"",
    ] {
        let mut server = CodecServer::serve_default(&format!("{limit}\nmax_body = \"64MiB\""));
        let large = plain(&[&"x".repeat(24 << 20)]);
        let mut deaf = server.connect();
        deaf.send(&post("/decode", &[], &body_of(&large)));
        server.wait_for_log("a connection ended early");
        server.serves();
    }
}

#[test]
fn many_small_tokens_take_little_memory() {
    const BODY: usize = 8 << 20;
    let repeated = |start: &str, token: &str, end: &str| {
        let count = (BODY - start.len() - end.len()) / (token.len() + 1);
        let tokens = vec![token; count].join(",");
        format!("{start}{tokens}{end}")
    };
    let keys: Vec<String> = (0..700_000).map(|n| format!("\"{n:x}\":\"\"")).collect();
    for (body, status) in [
        (repeated(r#"{"x":["#, "0", r#"],"payloads":[]}"#), 200),
        (repeated(r#"{"x":["#, "[]", r#"],"payloads":[]}"#), 200),
        (repeated(r#"{"payloads":["#, "{}", "]}"), 413),
        (
            repeated(r#"{"payloads":[{"externalPayloads":["#, "{}", "]}]}"),
            400,
        ),
        (
            format!(r#"{{"payloads":[{{"metadata":{{{}}}}}]}}"#, keys.join(",")),
            400,
        ),
        ("[".repeat(BODY), 400),
        (format!(r#"{{"x":{}"#, "[".repeat(BODY - 10)), 400),
    ] {
        let server = CodecServer::dev();
        server.serves();
        let before = server.peak_memory();
        let answer = server.post("/decode", &[], body.as_bytes());
        let start = &body[..60];
        assert_eq!(answer.status, status, "{start}: {}", answer.body);
        let more = server.peak_memory() - before;
        assert!(more < 4 * BODY, "{start}: {} KiB", more >> 10);
    }
}

#[test]
fn malformed_http_does_no_harm() {
    let server = CodecServer::dev();
    let big_header = format!(
        "POST /decode HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    // Within the buffer that bodies are read into, and above the limit.
    let long_header = format!(
        "POST /decode HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(40 << 10)
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
        (long_header.as_bytes(), 431),
    ] {
        let mut connection = server.connect();
        connection.send(request);
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&request[..request.len().min(80)]));
        server.serves();
    }
    for framing in [
        "Content-Length: +15",
        "Content-Length: 15, 15",
        "Content-Length : 15",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Content-Length: 15\r\n folded: 1",
        "X-Folded: a\r\n b\r\nContent-Length: 15",
    ] {
        // What a confused reader would take for a second request is not answered.
        let request = format!(
            "POST /decode HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{{\"payloads\":[]}}\
             GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        let mut connection = server.connect();
        connection.send(request.as_bytes());
        let answers = String::from_utf8(connection.rest()).unwrap();
        assert!(answers.starts_with("HTTP/1.1 400"), "{framing}: {answers}");
        assert_eq!(
            answers.matches("HTTP/1.1").count(),
            1,
            "{framing}: {answers}"
        );
        server.serves();
    }
    let both = server.raw(
        b"POST /decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(
        both.status, 400,
        "an empty body, and the connection is closed: {}",
        both.body
    );
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
