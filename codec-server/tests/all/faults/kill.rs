//! The server is killed under load, and started again at the same address.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use dev_servers::audit_files;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Answer, CodecServer, create_key, plain, run, text, try_post, until};

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

/// Encodes until it is told to end. Returns the bodies and their answers.
fn client(address: &str, number: usize, shared: &Shared) -> Vec<(Value, Answer)> {
    let mut answered = Vec::new();
    for round in 0.. {
        if shared.is_over.load(SeqCst) {
            break;
        }
        let body = plain(&[&format!("client {number}, round {round}")]);
        let must_succeed = shared.is_safe.load(SeqCst);
        match try_post(address, "/encode", &body) {
            Some(answer) => {
                answered.push((body, answer));
                shared.answers.fetch_add(1, SeqCst);
            }
            None => assert!(
                !must_succeed,
                "a request fails although no server was killed"
            ),
        }
    }
    answered
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

fn id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().to_owned()
}

/// The ids of the requests of which the audit log has a line.
fn audited(folder: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for file in audit_files(folder).unwrap() {
        for line in fs::read_to_string(file).unwrap().lines() {
            // A kill can tear a line that no answer waits for any more.
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            if line["event"] == "request" {
                ids.insert(line["request"].as_str().unwrap().to_owned());
            }
        }
    }
    ids
}

#[test]
fn a_server_that_is_killed_under_load_loses_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    fs::write(&file, configuration(folder.path())).unwrap();
    let mut server = CodecServer::serve_file(&file);
    let address = server.address().to_owned();
    let shared = Shared::default();
    let wait_for = |more: usize| {
        let enough = shared.answers.load(SeqCst) + more;
        until(|| {
            let answers = shared.answers.load(SeqCst);
            if answers < enough {
                Err(answers)
            } else {
                Ok(())
            }
        });
    };
    let answered: Vec<(Value, Answer)> = thread::scope(|scope| {
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
    let mut ids = BTreeSet::new();
    for (body, sealed) in &answered {
        let opened = server.call("/decode", "default", &sealed.json());
        assert_eq!(opened.json(), *body);
        ids.extend([id(sealed), id(&opened)]);
    }
    server.stop_and_log();
    let audit = folder.path().join("audit");
    // Each answer has its line.
    let audited = audited(&audit);
    let lost: Vec<&String> = ids.difference(&audited).collect();
    assert!(lost.is_empty(), "no line of {lost:?}");
    let verified = run(&["audit", "verify", audit.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
