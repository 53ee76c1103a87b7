//! What processes of other users, and of the server's own user, read of a server in `/proc`.

use std::{
    fs,
    process::{Command, Output},
};

use dev_servers::{Forms, Process};
use nix::unistd::Uid;

use crate::support::{CodecServer, DEFAULT, SECRET, text, until};

/// The user of the server, and another one. Distributions give no user these ids.
const OWN: u32 = 57_997;
const OTHER: u32 = 57_996;

/// A command that a user runs.
fn command_of(user: u32, arguments: &[&str]) -> Command {
    let id = user.to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .args(arguments)
        .env("LC_ALL", "C");
    command
}

fn read_as(user: u32, path: &str) -> Output {
    let mut head = command_of(user, &["head", "-c", "65536", path]);
    head.output()
        .expect("this test needs `setpriv` of util-linux")
}

fn is_secret_in(bytes: &[u8]) -> bool {
    Forms::of(SECRET.as_bytes()).find_in(bytes).is_some()
}

#[track_caller]
fn assert_closed(user: u32, path: &str) {
    let read = read_as(user, path);
    let error = text(&read.stderr);
    assert!(
        error.contains("Permission denied"),
        "{user}: {path}: {error}"
    );
    assert!(read.stdout.is_empty(), "{user} reads {path}");
}

/// A server of an ordinary user, whose environment holds a secret.
fn server() -> CodecServer {
    // The third argument is the configuration, which is in the server's folder.
    let commands = format!(
        "export AWS_SECRET_ACCESS_KEY='{SECRET}'\n\
         chown -R {OWN}:{OWN} \"${{3%/*}}\" || exit 99\n\
         exec setpriv --reuid {OWN} --regid {OWN} --clear-groups -- \"$0\" \"$@\""
    );
    CodecServer::configured_in_a_shell(&commands, DEFAULT)
}

#[test]
fn no_other_process_of_an_ordinary_user_reads_the_environment_or_the_memory_of_a_server() {
    assert!(
        Uid::effective().is_root(),
        "this test becomes other users: run it as root"
    );
    let server = server();
    server.serves();
    let folder = format!("/proc/{}", server.id());
    // Root finds the secret, so it is there.
    assert!(is_secret_in(
        &fs::read(format!("{folder}/environ")).unwrap()
    ));
    for user in [OTHER, OWN] {
        for name in ["environ", "mem", "maps"] {
            assert_closed(user, &format!("{folder}/{name}"));
        }
    }

    // A program without this protection: its own user reads the environment, and no other user does.
    let mut command = command_of(OWN, &["sleep", "600"]);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET);
    let open = Process::spawn("a program of the user", command).unwrap();
    let environment = format!("/proc/{}/environ", open.id());
    until(|| {
        let read = read_as(OWN, &environment);
        is_secret_in(&read.stdout)
            .then_some(())
            .ok_or_else(|| text(&read.stderr))
    });
    assert_closed(OTHER, &environment);
}
