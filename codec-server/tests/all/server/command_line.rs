//! The program: how its commands end, what they read, and what they never do.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::Stdio,
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;

use crate::support::{
    CodecServer, body_of, create_key, decode64, keyring, plain_payload, program, run,
    run_with_input, text, transform,
};

#[test]
fn exit_statuses_tell_what_was_wrong() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("a")));
    let decode = |arguments: &[&str], input: &[u8]| {
        let arguments = [&["decode", "--keyring", keyring], arguments].concat();
        let output = run_with_input(&arguments, &[], input);
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };

    let (code, stdout, stderr) = decode(&["--namespace", "other"], sealed.as_bytes());
    assert_eq!((code, stdout.as_str()), (65, ""));
    assert!(
        stderr.contains(
            "stdin: the payload: it belongs to namespace default, not other; try --namespace default"
        ),
        "{stderr}"
    );
    let (code, stdout, _) = decode(&["--namespace", "other", "--keep-going"], sealed.as_bytes());
    assert_eq!((code, stdout.trim()), (65, sealed.trim()));

    for (input, words) in [
        ("", "stdin: the body is empty"),
        ("nonsense", "stdin: not JSON"),
        (r#"{"events":[]}"#, "stdin: there is no payload in it"),
        (r#"{"data":"?"}"#, "stdin: `data` is not base64"),
    ] {
        let (code, stdout, stderr) = decode(&[], input.as_bytes());
        assert_eq!((code, stdout.as_str()), (65, ""), "{input}");
        assert!(stderr.contains(words), "{input}: {stderr}");
    }
    let (code, _, stderr) = decode(&["--max-input", "10"], sealed.as_bytes());
    assert_eq!(code, 65);
    assert!(stderr.contains("more than 10 bytes"), "{stderr}");

    for arguments in [
        &["decode", "--bogus"][..],
        &[],
        &["dev", "--listen", "0.0.0.0:1"],
        &["frobnicate"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(64), "{arguments:?}");
    }
    let missing = folder.path().join("nothing");
    for operation in ["encode", "decode"] {
        let output = run(&[operation, "--keyring", missing.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78), "{operation} creates no key");
        let words = text(&output.stderr);
        let create = words.contains("codec-server keys create local://default");
        assert_eq!(create, operation == "encode", "{words}");
        let name = words.contains("name the key with --key");
        assert_eq!(name, operation == "decode", "{words}");
        assert!(!missing.exists());
    }
    let output = run(&["decode", "/nonexistent/history.json", "--keyring", keyring]);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
}

#[test]
fn a_missing_key_is_told_with_the_key_that_the_payloads_name() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "2026");
    let keyring = ["--keyring", folder.path().to_str().unwrap()];
    let encode = [&["encode", "--key", "local://2026"][..], &keyring].concat();
    let plain = body_of(&plain_payload("text"));
    let sealed = run_with_input(&encode, &[], &plain).stdout;
    let file = folder.path().join("sealed.json");
    fs::write(&file, &sealed).unwrap();
    let decode = [&["decode", file.to_str().unwrap()][..], &keyring].concat();
    let output = run(&decode);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{words}");
    for part in [
        "no key local://default in ",
        "name the key with --key",
        "the payloads name local://2026",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!words.contains("create"), "{words}");
    let wrong = [&decode[..], &["--key", "local://2025"]].concat();
    let words = text(&run(&wrong).stderr);
    assert!(words.contains("correct the name in --key"), "{words}");
    // Input that is still to come is not waited for.
    let words = text(&run_with_input(&[&["decode"][..], &keyring].concat(), &[], &sealed).stderr);
    assert!(words.contains("name the key with --key"), "{words}");
    assert!(!words.contains("the payloads name"), "{words}");
}

#[test]
fn dev_says_where_other_addresses_are_served() {
    let output = run(&["dev", "--listen", "0.0.0.0:8081"]);
    assert_eq!(output.status.code(), Some(64));
    let words = text(&output.stderr);
    for part in [
        "127.0.0.1:8081",
        "codec-server serve --config FILE",
        "[auth]",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!words.contains("insecure_without"), "{words}");
}

#[test]
fn a_configuration_in_the_wrong_place_is_told() {
    for command in ["serve", "doctor"] {
        let output = run(&[command, "codec.toml"]);
        assert_eq!(output.status.code(), Some(64));
        let words = text(&output.stderr);
        assert!(
            words.contains("name the file with '--config FILE'"),
            "{words}"
        );
    }
    let words = text(&run(&["decode", "a", "b"]).stderr);
    assert!(!words.contains("--config FILE"), "{words}");
}

#[test]
fn an_interrupted_command_says_that_its_output_is_incomplete() {
    let folder = keyring();
    let mut process = program()
        .args(["encode", "--keyring", folder.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds, so that it is still writing when the first byte was read.
    let large = body_of(&plain_payload(&"a".repeat(1 << 20)));
    process.stdin.take().unwrap().write_all(&large).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let id = Pid::from_raw(process.id().try_into().unwrap());
    nix::sys::signal::kill(id, Signal::SIGTERM).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(
        text(&output.stderr).trim(),
        "codec-server: interrupted by SIGTERM; the output is incomplete; do not use it"
    );
    drop(stdout);
}

#[test]
fn the_key_can_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "mine");
    let keyring = folder.path().to_str().unwrap();
    let environment = [
        ("TEMPORAL_CODEC_KEY", "local://mine"),
        ("TEMPORAL_CODEC_KEYRING", keyring),
        ("TEMPORAL_NAMESPACE", "prod"),
    ];
    let output = run_with_input(&["encode"], &environment, &body_of(&plain_payload("a")));
    let sealed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(decode64(&sealed["metadata"]["kms-key"]), b"local://mine");
    assert_eq!(
        decode64(&sealed["metadata"]["encryption-context"]),
        br#"{"namespace":"prod"}"#
    );
    let output = run(&["encode"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("local://default"),
        "without a key it is the default one: {output:?}"
    );
}

/// Every variable that a help text names.
fn variables_of(command: &[&str]) -> Vec<String> {
    let output = run(&[command, &["--help"]].concat());
    let help = text(&output.stdout);
    let named = help.split("[env: ").skip(1);
    named
        .filter_map(|rest| rest.split(['=', ']']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn empty_variables_count_as_unset() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let (keyring, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());
    let mut tried = 0;
    for (command, arguments, code) in [
        (&["decode"][..], &["--keyring", keyring][..], 0),
        (&["encode"], &["--keyring", keyring], 0),
        (&["seal"], &[file, "--output", "-", "--keyring", keyring], 0),
        (
            &["open"],
            &[file, "--output", "-", "--keyring", keyring],
            65,
        ),
        (
            &["keys", "describe"],
            &["local://default", "--keyring", keyring],
            0,
        ),
        (
            &["doctor"],
            &["--key", "local://default", "--keyring", keyring],
            0,
        ),
        (&["serve"], &[], 78),
        (
            &["dev"],
            &["--listen", "127.0.0.1:0", "--keyring", file],
            78,
        ),
    ] {
        let variables = variables_of(command);
        tried += variables.len();
        let empty: Vec<_> = variables.iter().map(|name| (name.as_str(), "")).collect();
        let output = run_with_input(&[command, arguments].concat(), &empty, sealed.as_bytes());
        assert_eq!(output.status.code(), Some(code), "{command:?} {output:?}");
    }
    assert!(tried > 30, "{tried}");
    let output = run_with_input(&["serve"], &[("CODEC_LOG_FORMAT", "bad")], b"");
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.contains("CODEC_LOG_FORMAT"), "{said}");
    assert!(!said.contains("'--log-format"), "{said}");
}

#[test]
fn a_terminal_that_closes_stops_a_server_as_sigterm_does() {
    let mut server = CodecServer::dev();
    server.serves();
    server.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(server.wait().success());
    server.wait_for_log("told to stop");
}

#[test]
fn a_server_cannot_dump_its_memory() {
    let server = CodecServer::dev();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let values: Vec<_> = line.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"]);
    server.serves();
}

#[test]
fn dev_says_that_it_creates_its_key_and_listens_on_localhost() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = folder.path().join("keys");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", taken.local_addr().unwrap().port());
    let keyring = keyring.to_str().unwrap();
    let start = || run(&["dev", "--listen", &address, "--keyring", keyring]);
    let said = text(&start().stderr);
    assert!(
        said.contains(&format!(
            "created local://default in {keyring} (development only)"
        )),
        "{said}"
    );
    assert!(said.contains("cannot listen on 127.0.0.1:"), "{said}");
    let said = text(&start().stderr);
    assert!(!said.contains("created"), "{said}");
}

#[test]
fn a_token_is_apart_from_the_section_that_accepts_it() {
    let arguments = ["--name", "report", "--permission", "payments:read"];
    let output = run(&[&["token"][..], &arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let (token, section) = (text(&output.stdout), text(&output.stderr));
    let token = token.trim();
    assert!(token.starts_with("tkc_") && token.len() == 47, "{token}");
    assert!(!section.contains(token), "{section}");
    for line in ["[auth.tokens.report]", "permissions = [\"payments:read\"]"] {
        assert!(section.lines().any(|found| found == line), "{section}");
    }
    let other = run(&["token"]);
    assert_ne!(text(&other.stdout).trim(), token);
    for wrong in [
        ["--name", "a b"],
        ["--permission", "*:read"],
        ["--permission", "payments"],
    ] {
        let output = run(&[&["token"][..], &wrong].concat());
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
    }
}
