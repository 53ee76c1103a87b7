//! A Unix socket in place of an address.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;

use crate::support::{CodecServer, body_of, plain, post};

fn start(mode: &str, settings: &str) -> (CodecServer, PathBuf) {
    let mut path = PathBuf::new();
    let server = CodecServer::configured(|folder| {
        path = folder.join("http.sock");
        format!(
            "listen = \"unix:{}\"\n{mode}\n{settings}\n[namespaces.default]\nencrypt = [\"local://default\"]\n",
            path.display()
        )
    });
    (server, path)
}

fn ask(path: &Path, operation: &str) -> String {
    ask_with(path, operation, &[])
}

fn ask_with(path: &Path, operation: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    let request = post(operation, headers, &body_of(&plain(&["a"])));
    stream.write_all(&request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_unix_socket_is_served_and_removed_at_the_end() {
    let (mut server, path) = start("socket_mode = \"0600\"", "");
    assert_eq!(server.url(), format!("unix:{}", path.display()));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(ask(&path, "/encode").contains("200 OK"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_user_at_the_other_end_says_who_calls() {
    let ours = nix::unistd::getuid();
    let peer = |user: u32| {
        format!("[auth.peers.proxy]\nusers = [\"{user}\"]\npermissions = [\"default:write\"]")
    };
    let (_server, path) = start("", &peer(ours.as_raw()));
    assert!(ask(&path, "/encode").contains("200 OK"));
    let refused = ask(&path, "/decode");
    assert!(
        refused.contains("403") && refused.contains("role read is missing"),
        "{refused}"
    );

    let (_server, path) = start("", &peer(ours.as_raw() + 1));
    let refused = ask(&path, "/encode");
    assert!(
        refused.contains("401") && refused.contains("[auth.peers]"),
        "{refused}"
    );
}

/// A program of this machine that forwards to the socket gives its user to each request that reaches it.
#[test]
fn a_page_that_points_its_name_here_cannot_use_the_user_of_a_forwarder() {
    let ours = nix::unistd::getuid();
    let auth =
        format!("[auth.peers.forwarder]\nusers = [\"{ours}\"]\npermissions = [\"default:read\"]");
    let (_server, path) = start("allowed_hosts = [\"codec.example.com\"]", &auth);
    let ask = |host: &str| {
        let origin = format!("http://{host}");
        ask_with(&path, "/decode", &[("Host", host), ("Origin", &origin)])
    };
    let refused = ask("evil.example:8081");
    assert!(
        refused.contains("403") && refused.contains("allowed_hosts"),
        "{refused}"
    );
    for host in ["localhost:8081", "codec.example.com"] {
        let answer = ask(host);
        assert!(answer.contains("200 OK"), "{host}: {answer}");
    }

    let (_server, path) = start("", &auth);
    let host = ("Host", "evil.example:8081");
    let refused = ask_with(
        &path,
        "/decode",
        &[host, ("Origin", "http://evil.example:8081")],
    );
    assert!(refused.contains("403"), "{refused}");
    let refused = ask_with(&path, "/decode", &[host]);
    assert!(refused.contains("403"), "without an origin too: {refused}");
}
