//! What browsers ask before they call, and what keeps foreign pages out.

use crate::support::{Answer, CodecServer, body_of, plain};

const UI: &str = "https://ui.example.com";

fn preflight(server: &CodecServer, path: &str, origin: &str) -> Answer {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,x-namespace,authorization\r\n\r\n"
    );
    server.raw(request.as_bytes())
}

fn allowed_origin(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[test]
fn preflights_are_answered_on_every_path() {
    let server = CodecServer::serve_default("");
    for path in [
        "/encode",
        "/decode",
        "/download",
        "/prod/decode",
        "//decode",
        "/nothing",
    ] {
        let answer = preflight(&server, path, UI);
        assert_eq!(answer.status, 200);
        assert_eq!(allowed_origin(&answer), Some(UI), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("content-type,x-namespace,authorization,authorization-extras")
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
}

#[test]
fn origins_that_are_not_listed_are_not_echoed_and_do_nothing() {
    let server = CodecServer::serve_default("");
    for origin in [
        "https://evil.example",
        "http://ui.example.com",
        "https://ui.example.com:444",
        "null",
        "http://localhost:8233",
    ] {
        assert_eq!(
            allowed_origin(&preflight(&server, "/decode", origin)),
            None,
            "{origin}"
        );
        let answer = server.post("/decode", &[("Origin", origin)], &body_of(&plain(&["a"])));
        answer.refused(403, "allowed_origins");
        assert_eq!(allowed_origin(&answer), None, "{origin}");
    }
    server.serves();
}

#[test]
fn errors_can_be_read_by_the_page_too() {
    let server = CodecServer::serve_default("");
    for (path, body, status) in [
        ("/decode", "", 400),
        ("/decode", "{", 400),
        ("/download", "{}", 404),
        ("/nothing", "{}", 404),
        ("/decode", r#"{"payloads":[null]}"#, 400),
    ] {
        let answer = server.post(path, &[("Origin", UI)], body.as_bytes());
        assert_eq!(answer.status, status, "{path} {body}");
        assert_eq!(allowed_origin(&answer), Some(UI), "{path} {body}");
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
    let answer = server.post("/encode", &[("Origin", UI)], &body_of(&plain(&["a"])));
    assert_eq!((answer.status, allowed_origin(&answer)), (200, Some(UI)));
}

#[test]
fn dev_allows_pages_of_this_machine_only() {
    let server = CodecServer::dev();
    for origin in [
        "http://localhost:8233",
        "http://127.0.0.1:8233",
        "http://[::1]:8233",
        "https://localhost",
    ] {
        assert_eq!(
            allowed_origin(&preflight(&server, "/decode", origin)),
            Some(origin)
        );
    }
    for origin in [
        "https://cloud.temporal.io",
        "http://localhost.evil.example",
        "null",
    ] {
        assert_eq!(
            allowed_origin(&preflight(&server, "/decode", origin)),
            None,
            "{origin}"
        );
    }
}

#[test]
fn names_that_somebody_pointed_here_are_not_answered() {
    let server = CodecServer::serve_default("allowed_hosts = [\"codec.example.com\"]");
    for host in [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "10.0.0.1",
    ] {
        let answer = server.post("/decode", &[("Host", host)], &body_of(&plain(&["a"])));
        answer.refused(403, "allowed_hosts");
    }
    for host in [
        "localhost:8081",
        "127.0.0.1",
        "[::1]:1",
        "codec.example.com",
        "codec.example.com:443",
    ] {
        let answer = server.post("/decode", &[("Host", host)], &body_of(&plain(&["a"])));
        assert_eq!(answer.status, 200, "{host}");
    }
    let same = [
        ("Host", "codec.example.com"),
        ("Origin", "https://codec.example.com"),
    ];
    assert_eq!(
        server
            .post("/decode", &same, &body_of(&plain(&["a"])))
            .status,
        200
    );
    let answer = server.raw(b"POST /decode HTTP/1.0\r\n\r\n");
    answer.refused(403, "local names");
}

#[test]
fn answers_are_not_cached_or_guessed_at() {
    let server = CodecServer::dev();
    for body in ["{}", "broken"] {
        let answer = server.post("/decode", &[], body.as_bytes());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}
