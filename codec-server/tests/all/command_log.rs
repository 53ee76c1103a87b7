//! `--audit-log`: what a person does with keys has lines in an audit log.

use std::{fs, process::Stdio};

use dev_servers::audit_lines;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{SECRET, keyring, plain, program, run, run_with_input, text, until};

/// A keyring, files and a log of its own.
struct Person {
    keyring: TempDir,
    files: TempDir,
    log: TempDir,
}

impl Person {
    fn new() -> Self {
        let [files, log] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let keyring = keyring();
        Self {
            keyring,
            files,
            log,
        }
    }

    /// Runs a command with the log, and returns what it wrote to stdout.
    #[track_caller]
    fn run(&self, status: i32, arguments: &[&str], input: &str) -> String {
        let keyring = ["--keyring", self.keyring.path().to_str().unwrap()];
        let log = [("CODEC_AUDIT_LOG", self.log.path().to_str().unwrap())];
        let output = run_with_input(&[arguments, &keyring].concat(), &log, input.as_bytes());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        text(&output.stdout)
    }

    /// A file with this content.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.files.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn search(&self, arguments: &[&str]) -> Vec<Value> {
        let log = self.log.path().to_str().unwrap();
        let output = run(&[&["audit", "search", log, "--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        let lines = lines.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}

#[test]
fn every_command_that_uses_a_key_has_lines() {
    let person = Person::new();
    let create = ["keys", "create", "local://releases", "--purpose"];
    person.run(0, &[&create[..], &["sign-p256"]].concat(), "");
    let sealed = person.run(0, &["encode"], &plain(&[SECRET]).to_string());
    let shown = person.run(0, &["decode", "--text"], &sealed);
    assert!(shown.contains(SECRET), "{shown}");
    let history = person.file("history.json", &format!("{{\"events\":[{sealed}]}}"));
    person.run(0, &["history", "decode", &history], "");
    let backup = person.file("backup", SECRET);
    person.run(0, &["seal", &backup], "");
    let (sealed, opened) = (format!("{backup}.sealed"), format!("{backup}.opened"));
    person.run(0, &["open", &sealed, "--output", &opened], "");
    let of_key = ["--key", "local://releases"];
    person.run(0, &[&["sign", &backup], &of_key[..]].concat(), "");
    person.run(0, &[&["verify", &backup], &of_key[..]].concat(), "");
    person.file("backup", "another text");
    person.run(65, &[&["verify", &backup], &of_key[..]].concat(), "");
    person.run(
        0,
        &["doctor", "--key", "local://default", "--samples", "1"],
        "",
    );

    let told: Vec<String> = person
        .search(&["--event", "command"])
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            ["operation", "namespace", "result"].map(text).join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "keys - ok",
            "encode default ok",
            "decode default ok",
            "decode default ok",
            "seal - ok",
            "open - ok",
            "sign - ok",
            "verify - ok",
            "verify - failed",
            "doctor - ok",
        ]
    );
    let decoded = person.search(&["--operation", "decode", "--namespace", "default"]);
    assert_eq!(decoded.len(), 2);
    assert_eq!(decoded[1]["files"][0], history);
    let refused = &person.search(&["--event", "command", "--result", "failed"])[0];
    assert_eq!(refused["exit_code"], 65);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("the file was changed"), "{error}");
    let user = decoded[0]["subject"].as_str().unwrap();
    assert!(user.contains("uid"), "{user}");
    assert_eq!(
        person
            .search(&["--subject", user, "--event", "command"])
            .len(),
        told.len()
    );

    // Each call of a key has a line between the start and the end of its command.
    let signing = ["--event", "kms", "--key", "local://releases"];
    for (operation, result, message) in [
        ("sign", "ok", "data signed"),
        ("verify", "ok", "signature verified"),
        ("verify", "not_verified", "signature refused"),
    ] {
        let more = ["--operation", operation, "--result", result];
        let found = person.search(&[&signing[..], &more].concat());
        assert_eq!(found.len(), 1, "{operation} {result}: {found:?}");
        assert_eq!(found[0]["message"], message);
    }
    let written = audit_lines(person.log.path()).unwrap();
    let mut calls: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in &written {
        let operation = line["operation"].as_str().unwrap_or_default();
        match line["event"].as_str().unwrap() {
            "start" => calls.push((line["program"].as_str().unwrap(), Vec::new())),
            "kms" => calls.last_mut().unwrap().1.push(operation),
            _ => {}
        }
    }
    for (command, operation) in [
        ("encode", "wrap"),
        ("decode", "unwrap"),
        ("history decode", "unwrap"),
        ("seal", "wrap"),
        ("open", "unwrap"),
    ] {
        let program = format!("codec-server {command} {}", env!("CARGO_PKG_VERSION"));
        let (_, made) = calls.iter().find(|(name, _)| *name == program).unwrap();
        assert!(made.contains(&operation), "{program}: {made:?}");
    }

    let all = format!("{written:?}");
    assert!(!all.contains(SECRET), "{all}");
    let log = person.log.path().to_str().unwrap();
    let verified = run(&["audit", "verify", log, "--complete"]);
    let report = text(&verified.stdout);
    assert_eq!(verified.status.code(), Some(0), "{report}");
}

#[test]
fn nothing_is_done_without_the_log() {
    let person = Person::new();
    let backup = person.file("backup", SECRET);
    let payloads = person.file("payloads", &plain(&[SECRET]).to_string());
    let nowhere = person.files.path().join("nowhere");
    for arguments in [
        &["encode", &payloads, "--output"][..],
        &["decode", &payloads, "--output"],
        &["history", "decode", &payloads, "--output"],
        &["seal", &backup, "--output"],
        &["open", &backup, "--output"],
        &["sign", &backup, "--key", "local://default", "--output"],
    ] {
        let output = person.files.path().join("output");
        let mut command = program();
        command
            .args(arguments)
            .arg(&output)
            .arg("--keyring")
            .arg(person.keyring.path())
            .arg("--audit-log")
            .arg(&nowhere);
        let done = command.output().unwrap();
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(78), "{arguments:?}: {said}");
        assert!(said.contains("install -d -m 0700"), "{said}");
        assert!(!output.exists(), "{arguments:?}");
    }
}

#[test]
fn a_command_that_a_signal_ends_has_its_line() {
    let person = Person::new();
    let mut command = program();
    command
        .args(["seal", "-", "--output"])
        .arg(person.files.path().join("output"))
        .arg("--keyring")
        .arg(person.keyring.path())
        .arg("--audit-log")
        .arg(person.log.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    // To wait for a process would end its input, and the command with success.
    let _input = process.stdin.take();
    until(|| {
        let written = audit_lines(person.log.path()).unwrap_or_default();
        let is_start = |line: &Value| line["event"] == "start";
        written.iter().any(is_start).then_some(()).ok_or(written)
    });
    let id = Pid::from_raw(process.id().try_into().unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(143));
    let ended = person.search(&["--event", "command"]);
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(
        (&ended[0]["operation"], &ended[0]["result"]),
        (&Value::from("seal"), &Value::from("given_up"))
    );
}
