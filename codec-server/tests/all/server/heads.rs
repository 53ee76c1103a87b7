//! The limits of a request's head on HTTP/1.1, to the byte and to the field.

use crate::support::{CodecServer, Connection, body_of, plain};

const LIMIT: usize = 8 << 10;

fn server() -> CodecServer {
    // Nothing here may depend on a timeout.
    CodecServer::serve_default("max_headers = \"8KiB\"\nheader_timeout = \"1h\"")
}

fn body() -> Vec<u8> {
    body_of(&plain(&["a"]))
}

/// A head of so many bytes, for a body of so many.
fn head_of(bytes: usize, body: usize) -> Vec<u8> {
    let start = format!(
        "POST /encode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body}\r\nX-Fill: "
    );
    let end = "\r\n\r\n";
    let fill = "x".repeat(bytes - start.len() - end.len());
    [start, fill, end.to_owned()].concat().into_bytes()
}

/// Refused, and the connection is closed.
fn refused(connection: Connection) {
    let answer = connection.answer();
    assert_eq!(answer.status, 431);
    assert_eq!(answer.body, "", "the HTTP library says nothing");
}

fn served(connection: &mut Connection) {
    let head = connection.head();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn one_byte_too_many_is_refused() {
    let server = server();
    let body = body();
    for bytes in [LIMIT - 1, LIMIT] {
        let mut connection = server.connect();
        connection.send(&[head_of(bytes, body.len()), body.clone()].concat());
        served(&mut connection);
    }
    for bytes in [LIMIT + 1, LIMIT + 100, 4 * LIMIT, 16 * LIMIT] {
        let mut connection = server.connect();
        connection.send(&[head_of(bytes, body.len()), body.clone()].concat());
        refused(connection);
    }
    server.serves();
}

#[test]
fn pieces_count_like_the_whole() {
    let server = server();
    let body = body();
    for piece in [1, 7, 1000, LIMIT - 1] {
        let mut connection = server.connect();
        for part in head_of(LIMIT, body.len()).chunks(piece) {
            connection.send(part);
        }
        connection.send(&body);
        served(&mut connection);

        let mut connection = server.connect();
        for part in head_of(LIMIT + 1, body.len()).chunks(piece) {
            connection.send(part);
        }
        refused(connection);
    }
    server.serves();
}

#[test]
fn a_head_without_an_end_is_refused_at_the_limit() {
    let server = server();
    let endless = head_of(2 * LIMIT, 0);
    let mut connection = server.connect();
    connection.send(&endless[..LIMIT]);
    refused(connection);
    // The first line alone is a head too.
    let mut connection = server.connect();
    connection.send(&[b"GET /".as_slice(), &[b'a'; LIMIT]].concat());
    refused(connection);
    server.serves();
}

#[test]
fn one_field_too_many_is_refused() {
    const MOST: usize = 100;
    let server = server();
    let body = body();
    let request = |fields: usize| {
        let own = "Host: localhost\r\nContent-Type: application/json\r\n";
        let more = "x: y\r\n".repeat(fields - 3);
        let length = body.len();
        let head = format!("POST /encode HTTP/1.1\r\n{own}Content-Length: {length}\r\n{more}\r\n");
        [head.as_bytes(), &body].concat()
    };
    let mut connection = server.connect();
    connection.send(&request(MOST));
    served(&mut connection);
    let mut connection = server.connect();
    connection.send(&request(MOST + 1));
    refused(connection);
    server.serves();
}

#[test]
fn each_request_of_a_connection_has_the_limit_and_its_body_does_not_count() {
    let server = server();
    let long = body_of(&plain(&[&"x".repeat(200 << 10)]));
    let mut connection = server.connect();
    connection.send(&[head_of(LIMIT, long.len()), long].concat());
    served(&mut connection);
    // The second follows the first at once.
    let body = body();
    let mut connection = server.connect();
    let both = [
        head_of(LIMIT, body.len()),
        body.clone(),
        head_of(LIMIT + 1, body.len()),
        body,
    ];
    connection.send(&both.concat());
    let answers = String::from_utf8(connection.rest()).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 431 ").count(), 1, "{answers}");
    server.serves();
}

#[test]
fn a_limit_above_the_buffer_of_bodies_is_exact_too() {
    const LARGE: usize = 256 << 10;
    let server = CodecServer::serve_default("max_headers = \"256KiB\"");
    let body = body();
    let mut connection = server.connect();
    connection.send(&[head_of(LARGE, body.len()), body.clone()].concat());
    served(&mut connection);
    let mut connection = server.connect();
    connection.send(&[head_of(LARGE + 1, body.len()), body].concat());
    refused(connection);
    server.serves();
}
