//! Clients that close half of their connection, read slowly, or come in floods.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, ScopedJoinHandle},
};

use nix::sys::signal::Signal;
use tokio::{net::TcpSocket, runtime::Runtime};

use crate::support::{
    CodecServer, Connection, DEFAULT, PATIENCE, allow_many_files, body_of, plain, post,
};

/// A client that closes its half counts as one that has left: work for clients that are gone would hold places.
#[test]
fn clients_that_close_their_half_get_a_whole_answer_or_none() {
    let server = CodecServer::dev();
    let large = plain(&[&"x".repeat(1 << 20)]);
    let sealed = server.encode("default", &large);
    let request = post("/decode", &[], &body_of(&sealed));
    let leaving: Vec<Connection> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&request);
            connection.half_close();
            connection
        })
        .collect();
    server.serves();
    for connection in leaving {
        let answer = String::from_utf8(connection.rest()).unwrap();
        let is_whole = answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("]}");
        assert!(answer.is_empty() || is_whole, "{answer:.80}");
    }
    server.serves();
}

/// A connection whose kernel takes little of an answer that nobody reads.
async fn with_a_small_buffer(address: &str) -> TcpStream {
    const BUFFER: u32 = 128 << 10;

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The answers have 8 MiB. The buffers of the kernel do not hold so much, so the server waits for the clients.
#[test]
fn a_client_that_reads_one_byte_at_a_time_holds_up_nobody() {
    let mut server = CodecServer::serve(
        "max_body = \"16MiB\"\nmax_memory = \"2GiB\"\nwrite_timeout = \"1h\"\nanswer_timeout = \"1h\"",
        &format!("{DEFAULT}\ncompression = \"zstd\"\nmax_decompressed = \"8MiB\""),
    );
    let plaintext = plain(&[&"x".repeat(6 << 20)]);
    let sealed = body_of(&server.encode("default", &plaintext));
    let plaintext = body_of(&plaintext);
    let request = post("/decode", &[("X-Namespace", "default")], &sealed);
    let address = server.address();
    let runtime = Runtime::new().unwrap();
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = runtime.block_on(with_a_small_buffer(address));
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    let mut answers = vec![Vec::new(); slow.len()];
    for round in 0..200 {
        for (stream, answer) in slow.iter_mut().zip(&mut answers) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        if round % 10 == 0 {
            server.serves();
        }
    }
    let mut last = slow.pop().unwrap();
    for (mut stream, mut answer) in slow.into_iter().zip(answers) {
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        assert!(answer.len() > plaintext.len() && answer.ends_with(b"]}"));
    }
    // The server still has a part of the last answer, as it had of the others.
    server.signal(Signal::SIGKILL);
    server.wait();
    let mut rest = Vec::new();
    // The connection may be reset.
    let _ = last.read_to_end(&mut rest);
    assert!(rest.len() < plaintext.len(), "{} bytes", rest.len());
}

const FLOODING: usize = 4;
/// Connections of each thread, and how many of them are open at the same time.
const CONNECTIONS: usize = 1500;
const OPEN: usize = 500;

/// Connections that send nothing, half a request, garbage, or a request whose answer nobody reads.
fn flood(address: &str) {
    let request = post("/encode", &[], &body_of(&plain(&["a"])));
    let half = &request[..request.len() / 2];
    let kinds = [b"".as_slice(), half, b"\x16\x03\x01\x02\x00", &request];
    let mut open = VecDeque::new();
    for number in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).unwrap();
        // The server may have closed it already.
        let _ = stream.write_all(kinds[number % kinds.len()]);
        open.push_back(stream);
        if open.len() > OPEN {
            open.pop_front();
        }
    }
}

#[test]
fn a_flood_of_connections_fails_no_request_of_others() {
    allow_many_files();
    let server = CodecServer::serve_default("max_connections = 4096");
    let address = server.address();
    thread::scope(|scope| {
        let flooding: Vec<_> = (0..FLOODING)
            .map(|_| scope.spawn(|| flood(address)))
            .collect();
        let mut requests = 0;
        while requests < 200 || !flooding.iter().all(ScopedJoinHandle::is_finished) {
            server.serves();
            requests += 1;
        }
        for thread in flooding {
            thread.join().unwrap();
        }
    });
    server.serves();
}
