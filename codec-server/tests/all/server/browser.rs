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
fn the_operator_is_told_which_page_was_refused_and_what_to_change() {
    let mut server = CodecServer::serve_default("");
    preflight(&server, "/decode", "https://cloud.temporal.io");
    server.wait_for_log("https://cloud.temporal.io");
    server.wait_for_log("method=\"OPTIONS\"");
    let log = server.stop_and_log();
    let line = log
        .lines()
        .find(|line| line.contains("https://cloud.temporal.io"))
        .unwrap();
    assert!(
        line.contains("WARN") && line.contains("allowed_origins"),
        "{line}"
    );

    // Once in a while is enough: a page calls hundreds of times.
    let server = CodecServer::serve_default("");
    for _ in 0..20 {
        let foreign = [("Origin", "https://evil.example")];
        server
            .post("/decode", &foreign, b"{}")
            .refused(403, "allowed_origins");
    }
    let log = server.stop_and_log();
    assert_eq!(log.matches("refused a web page").count(), 1, "{log}");
}

#[test]
fn the_log_shows_no_origin_that_steers_a_terminal() {
    let mut server = CodecServer::serve_default("");
    let foreign = format!("https://evil.example/\u{202e}gpj\u{9b}{}", "x".repeat(3000));
    server
        .post("/decode", &[("Origin", &foreign)], b"{}")
        .refused(403, "allowed_origins");
    server.wait_for_log("status=403");
    let log = server.stop_and_log();
    assert!(!log.contains(['\u{202e}', '\u{9b}']), "{log}");
    assert!(!log.contains(&"x".repeat(300)), "{log}");
}

#[test]
fn a_page_of_another_site_is_refused_without_an_origin_too() {
    let server = CodecServer::serve_default("");
    let body = body_of(&plain(&["a"]));
    for site in ["cross-site", "same-site"] {
        let headers = [("Sec-Fetch-Site", site), ("Content-Type", "text/plain")];
        server
            .post("/encode", &headers, &body)
            .refused(403, "allowed_origins");
        // The Web UI lives at another site, and is allowed by its origin.
        let ui = [("Sec-Fetch-Site", site), ("Origin", UI)];
        assert_eq!(server.post("/encode", &ui, &body).status, 200, "{site}");
    }
    for site in ["same-origin", "none"] {
        let answer = server.post("/encode", &[("Sec-Fetch-Site", site)], &body);
        assert_eq!(answer.status, 200, "{site}");
    }
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
    answer.refused(403, "allowed_hosts");
}

#[test]
fn metrics_on_a_loopback_address_are_not_for_names_that_a_page_pointed_here() {
    let server = CodecServer::serve_default("allowed_hosts = [\"codec.example.com\"]");
    for path in ["/metrics", "/readyz", "/healthz", "/other"] {
        for foreign in [
            "evil.example",
            "evil.example:8082",
            "localhost.evil.example",
        ] {
            let answer = server.admin_with(path, &format!("Host: {foreign}\r\n"));
            answer.refused(403, "allowed_hosts");
            assert!(!answer.body.contains("local://"), "{}", answer.body);
        }
    }
    for host in [
        "localhost:8082",
        "127.0.0.1",
        "10.1.2.3:8082",
        "[::1]",
        "codec.example.com",
    ] {
        let answer = server.admin_with("/metrics", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 200, "{host}");
    }
    let two = "Host: localhost\r\nHost: evil.example\r\n";
    assert_ne!(server.admin_with("/metrics", two).status, 200);
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
