//! Starting, being ready, and stopping without cutting anybody off.

use crate::support::{CodecServer, Connection, body_of, plain, post, run_with_input};
use nix::sys::signal::Signal;

/// A request in flight: its head is answered by `100 Continue`, its body is still to come.
fn in_flight(server: &CodecServer) -> (Connection, Vec<u8>) {
    let request = post(
        "/encode",
        &[("Expect", "100-continue")],
        &body_of(&plain(&["in flight"])),
    );
    let head = request
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut connection = server.connect();
    connection.send(&request[..head]);
    assert!(connection.head().contains("100 Continue"));
    (connection, request[head..].to_vec())
}

#[test]
fn health_and_readiness() {
    let mut server = CodecServer::dev();
    server.wait_for_log("ready: every key answers");
    assert_eq!(server.admin("/healthz").status, 200);
    let ready = server.admin("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    assert_eq!(server.admin("/decode").status, 404);
    assert_eq!(server.admin("/").status, 404);
}

#[test]
fn shutdown_finishes_what_is_in_flight() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = CodecServer::dev();
        server.wait_for_log("ready: every key answers");
        let (mut connection, body) = in_flight(&server);
        let idle = server.connect();
        server.signal(signal);
        server.wait_for_log("shutting down");
        assert!(idle.rest().is_empty(), "an idle connection is closed");
        assert!(!server.is_reachable(), "no new connection is taken");
        let ready = server.admin("/readyz");
        assert_eq!(
            (ready.status, ready.body.as_str()),
            (503, "shutting down\n")
        );
        assert_eq!(server.admin("/healthz").status, 200);

        connection.send(&body);
        let answer = String::from_utf8(connection.rest()).unwrap();
        assert!(
            answer.contains("200 OK") && answer.contains("\"payloads\""),
            "{answer}"
        );
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let mut server =
        CodecServer::serve_default("shutdown_grace = \"200ms\"\nbody_timeout = \"1h\"");
    let (connection, _) = in_flight(&server);
    server.signal(Signal::SIGTERM);
    server.wait_for_log("cut off");
    assert_eq!(server.wait().code(), Some(0));
    assert!(connection.rest().is_empty());
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = CodecServer::serve_default("shutdown_grace = \"1h\"\nbody_timeout = \"1h\"");
    let (_connection, _) = in_flight(&server);
    server.signal(Signal::SIGTERM);
    server.wait_for_log("shutting down");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn connections_are_kept_alive_between_requests() {
    let server = CodecServer::dev();
    let request = String::from_utf8(post("/encode", &[], &body_of(&plain(&["a"])))).unwrap();
    let keep = request.replace("Connection: close\r\n", "");
    let mut connection = server.connect();
    connection.send(keep.repeat(3).as_bytes());
    connection.send(request.as_bytes());
    let answers = String::from_utf8(connection.rest()).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 4);
}

#[test]
fn what_was_encoded_before_a_restart_is_decoded_after_it() {
    let server = CodecServer::dev();
    let sealed = server.encode("default", &plain(&["a"]));
    let keyring = server.keyring().to_str().unwrap().to_owned();
    let output = run_with_input(&["decode", "--keyring", &keyring], &[], &body_of(&sealed));
    let decoded: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(decoded, plain(&["a"]));
}
