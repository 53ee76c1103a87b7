//! Keys are erased when the server has no use for them any more. Another process looks into its memory.

use std::thread;

use dev_servers::memory_holds;
use nix::sys::signal::Signal;

use super::data_key::data_key;
use crate::support::{CodecServer, create_key, plain, until};

/// So many requests at a time reach every thread of the server.
const AT_A_TIME: usize = 8;

fn holds(server: &CodecServer, secret: &[u8]) -> bool {
    let found = memory_holds(server.id(), secret);
    found
        .expect("this test reads another process's memory: run it as root")
        .is_some()
}

/// Waits until a secret has left the memory. The server works meanwhile: a thread keeps what was on its stack until it works
/// again.
#[track_caller]
fn wait_until_erased(server: &CodecServer, secret: &[u8]) {
    until(|| {
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| server.serves());
            }
        });
        let is_erased = !holds(server, secret);
        is_erased.then_some(()).ok_or("it is still in memory")
    });
}

#[test]
fn a_data_key_that_was_replaced_is_not_in_memory() {
    let server = CodecServer::configured(|_| {
        "[cache]\nttl = \"1s\"\n[namespaces.default]\nencrypt = [\"local://first\"]\n\
         [namespaces.default.dek]\nmax_age = \"1s\"\nrenew_before = \"500ms\"\n"
            .to_owned()
    });
    let sealed = server.encode("default", &plain(&["a"]));
    let data_key = data_key(&server, "first", &sealed);
    assert!(
        holds(&server, &data_key),
        "the data key is not where this test looks"
    );
    // Another data key takes its place, and the cache drops it.
    wait_until_erased(&server, &data_key);
    // It still opens what it sealed, and is erased again.
    assert_eq!(
        server.call("/decode", "default", &sealed).json(),
        plain(&["a"])
    );
    wait_until_erased(&server, &data_key);
}

#[test]
fn a_key_that_is_not_configured_any_more_is_not_in_memory() {
    let mut server = CodecServer::configured(|folder| {
        create_key(&folder.join("keys"), "second");
        "[namespaces.default]\nencrypt = [\"local://first\"]\n".to_owned()
    });
    let sealed = server.encode("default", &plain(&["a"]));
    let (key, data_key) = (
        server.key_bytes("first"),
        data_key(&server, "first", &sealed),
    );
    assert!(holds(&server, &key), "the key is not where this test looks");
    assert!(holds(&server, &data_key));

    server.rewrite("local://first", "local://second");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("the configuration is read again and in use");
    wait_until_erased(&server, &key);
    wait_until_erased(&server, &data_key);
}

#[test]
fn a_data_key_that_is_dropped_on_demand_is_not_in_memory() {
    let mut server = CodecServer::configured(|_| {
        "[namespaces.default]\nencrypt = [\"local://first\"]\n".to_owned()
    });
    let sealed = server.encode("default", &plain(&["a"]));
    let data_key = data_key(&server, "first", &sealed);
    assert!(holds(&server, &data_key));
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("every data key in memory is dropped");
    wait_until_erased(&server, &data_key);
}
