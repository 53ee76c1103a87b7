//! Less memory than the load would take.

use tokio::runtime::Runtime;

use crate::support::{CodecServer, DEFAULT, Http2, body_of, plain};

const MIB: usize = 1 << 20;

/// Requests of 4 MiB at once, 256 MiB in all, in a process that cannot have so much.
#[test]
fn a_server_with_little_memory_refuses_requests_and_does_not_die() {
    let settings = format!(
        "body_timeout = \"1h\"\nmax_memory = \"48MiB\"\nmax_body = \"8MiB\"\nmax_answer = \"8MiB\"\n{DEFAULT}"
    );
    let mut server = CodecServer::configured_in_a_shell("ulimit -v 786432", &settings);
    server.wait_for_log("ready: every encrypting key answers");
    let large = body_of(&plain(&[&"x".repeat(3 * MIB)]));
    let runtime = Runtime::new().unwrap();
    let statuses = runtime.block_on(Http2::at_once(server.url(), "/encode", 64, &[large]));
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429), statuses.len(), "{statuses:?}");
    assert!(count(200) > 0, "{statuses:?}");
    server.serves();
    assert!(
        server.peak_memory() < 300 * MIB,
        "{} MiB",
        server.peak_memory() / MIB
    );
}
