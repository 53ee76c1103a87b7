//! The server is killed under load, and started again at the same address.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{CodecServer, create_key, plain, run, text, try_post};

const CLIENTS: usize = 4;
const KILLS: usize = 5;
/// Answers between two kills.
const ANSWERS: usize = 50;

/// What the clients and the test tell each other.
#[derive(Default)]
struct Shared {
    answers: AtomicUsize,
    /// A server runs that is not killed any more.
    is_safe: AtomicBool,
    is_over: AtomicBool,
}

/// Encodes until it is told to end. Returns the bodies, and what was made of them.
fn client(address: &str, number: usize, shared: &Shared) -> Vec<(Value, Value)> {
    let mut sealed = Vec::new();
    for round in 0.. {
        if shared.is_over.load(SeqCst) {
            break;
        }
        let body = plain(&[&format!("client {number}, round {round}")]);
        let must_succeed = shared.is_safe.load(SeqCst);
        match try_post(address, "/encode", &body) {
            Some(answer) => {
                sealed.push((body, answer.json()));
                shared.answers.fetch_add(1, SeqCst);
            }
            None => assert!(
                !must_succeed,
                "a request fails although no server was killed"
            ),
        }
    }
    sealed
}

fn configuration(folder: &Path) -> String {
    let audit = folder.join("audit");
    fs::create_dir(&audit).unwrap();
    fs::set_permissions(&audit, PermissionsExt::from_mode(0o700)).unwrap();
    let keys = folder.join("keys");
    create_key(&keys, "default");
    format!(
        "[server]\nlisten = \"127.0.0.1:{}\"\nadmin_listen = \"127.0.0.1:0\"\n[audit]\nfolder = '{}'\n\
         [keys]\nlocal_keyring = '{}'\n[namespaces.default]\nencrypt = [\"local://default\"]\n",
        dev_servers::free_port().unwrap(),
        audit.display(),
        keys.display()
    )
}

/// The requests of which the audit log has a line.
fn audited(folder: &Path) -> usize {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let logs = files.filter(|file| file.extension().is_some_and(|end| end == "jsonl"));
    let lines = logs.map(|file| fs::read_to_string(file).unwrap());
    lines
        .map(|lines| lines.matches("\"event\":\"request\"").count())
        .sum()
}

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    fs::write(&file, configuration(folder.path())).unwrap();
    let mut server = CodecServer::serve_file(&file);
    let address = server.url().trim_start_matches("http://").to_owned();
    let shared = Shared::default();
    let wait_for = |more: usize| {
        let until = shared.answers.load(SeqCst) + more;
        while shared.answers.load(SeqCst) < until {
            thread::yield_now();
        }
    };
    let sealed: Vec<(Value, Value)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (address, shared) = (&address, &shared);
                scope.spawn(move || client(address, number, shared))
            })
            .collect();
        for _ in 0..KILLS {
            wait_for(ANSWERS);
            server.signal(Signal::SIGKILL);
            server.wait();
            server = CodecServer::serve_file(&file);
        }
        shared.is_safe.store(true, SeqCst);
        wait_for(4 * ANSWERS);
        shared.is_over.store(true, SeqCst);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    for (body, sealed) in &sealed {
        assert_eq!(server.call("/decode", "default", sealed).json(), *body);
    }
    server.stop_and_log();
    let audit = folder.path().join("audit");
    // Each answer has its line, and each line is whole.
    assert!(audited(&audit) >= 2 * sealed.len());
    let verified = run(&["audit", "verify", audit.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
