//! Starting, being ready, and stopping without cutting anybody off.

use crate::support::{CodecServer, Connection, body_of, plain, post, run_with_input};
use nix::sys::signal::Signal;

/// A request in flight: its head is answered by `100 Continue`, its body is still to come.
pub(super) fn in_flight(server: &CodecServer) -> (Connection, Vec<u8>) {
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
    server.wait_for_log("ready: every encrypting key answers");
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
        server.wait_for_log("ready: every encrypting key answers");
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
fn a_server_that_stops_is_not_ready_for_a_while_before_it_closes() {
    let mut server = CodecServer::serve_default("shutdown_delay = \"1h\"");
    server.wait_for_log("ready: every encrypting key answers");
    server.signal(Signal::SIGTERM);
    server.wait_for_log("not ready any more");
    let ready = server.admin("/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "shutting down\n")
    );
    server.serves();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn requests_that_the_system_has_queued_are_answered() {
    let mut server = CodecServer::serve_default("max_connections = 1\nshutdown_delay = \"0s\"");
    server.wait_for_log("ready: every encrypting key answers");
    let (mut first, body) = in_flight(&server);
    // There is no place for them: they wait in the system's queue.
    let request = post("/encode", &[], &body_of(&plain(&["queued"])));
    let queued: Vec<Connection> = (0..5)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&request);
            connection
        })
        .collect();
    server.signal(Signal::SIGTERM);
    server.wait_for_log("shutting down");
    for connection in queued {
        assert_eq!(connection.answer().status, 200);
    }
    first.send(&body);
    assert!(String::from_utf8(first.rest()).unwrap().contains("200 OK"));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_request_whose_head_has_begun_is_answered() {
    let mut server = CodecServer::dev();
    server.wait_for_log("ready: every encrypting key answers");
    let request = post("/encode", &[], &body_of(&plain(&["half a head"])));
    let mut connection = server.connect();
    connection.send(&request[..20]);
    // The server has read it when it has answered somebody who came later.
    server.serves();
    server.signal(Signal::SIGTERM);
    server.wait_for_log("shutting down");
    connection.send(&request[20..]);
    assert_eq!(connection.answer().status, 200);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_key_management_service_that_hangs_does_not_keep_the_server() {
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let key = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";
    let namespaces = format!(
        "gcp_endpoint = \"http://{}\"\n[namespaces.default]\nencrypt = [\"{key}\"]",
        silent.local_addr().unwrap()
    );
    let limits = "shutdown_grace = \"200ms\"\nshutdown_delay = \"0s\"";
    let mut server = CodecServer::serve(limits, &namespaces);
    let mut waiting = server.connect();
    waiting.send(&post("/encode", &[], &body_of(&plain(&["a"]))));
    silent.accept().unwrap();
    server.signal(Signal::SIGTERM);
    server.wait_for_log("cut off");
    assert_eq!(server.wait().code(), Some(0));
    assert!(waiting.rest().is_empty());
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let mut server = CodecServer::serve_default(
        "shutdown_grace = \"200ms\"\nshutdown_delay = \"0s\"\nbody_timeout = \"1h\"",
    );
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
