//! The program: what it reads and writes, and how it ends.

use std::path::Path;

use crate::support::{body_of, decode64, plain, plain_payload, run, run_with_input};
use serde_json::{Value, json};
use tempfile::TempDir;
use temporal_kms_codec::kms::local::LocalKeyring;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with a local key.
fn keyring_with(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    keyring.key_or_create(name).unwrap();
    folder
}

/// Runs `encode` or `decode` with a keyring, and returns what it wrote.
#[track_caller]
fn transform(operation: &str, keyring: &Path, input: &[u8]) -> String {
    let output = run_with_input(
        &[operation, "--keyring", keyring.to_str().unwrap()],
        &[],
        input,
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn one_payload_a_body_or_a_list() {
    let folder = keyring_with("default");
    for input in [
        plain_payload("a"),
        plain(&["a", "b"]),
        json!([plain_payload("a"), plain_payload("b")]),
    ] {
        let sealed = transform("encode", folder.path(), &body_of(&input));
        assert!(
            !sealed.contains("json/plain") && sealed.contains("encrypted-dek"),
            "{sealed}"
        );
        let opened: Value =
            serde_json::from_str(&transform("decode", folder.path(), sealed.as_bytes())).unwrap();
        assert_eq!(opened, input);
    }
}

#[test]
fn a_history_keeps_everything_but_its_payloads() {
    let folder = keyring_with("default");
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("input")));
    let history = format!(
        r#"{{
  "events": [
    {{ "eventId": "1", "eventTime": "2026-11-01T00:00:00Z", "version": 1.50,
      "workflowExecutionStartedEventAttributes": {{
        "input": {{ "payloads": [ {} ] }}, "zebra": 1, "apple": 2,
        "metadata": {{ "note": "kept" }}, "searchAttributes": {{ "indexedFields": {{
          "K": {{ "metadata": {{ "type": "S2V5d29yZA==", "encoding": "anNvbi9wbGFpbg==" }}, "data": "ImEi" }} }} }} }} }}
  ]
}}
"#,
        sealed.trim()
    );
    let opened = transform("decode", folder.path(), history.as_bytes());
    let payload = serde_json::to_string(&plain_payload("input")["data"]).unwrap();
    let expected = history.replace(
        sealed.trim(),
        &format!(r#"{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":{payload}}}"#),
    );
    assert_eq!(opened, expected);
}

#[test]
fn lines_of_json_are_a_history_too() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let lines = format!(
        "{{\"event\":{}}}\n{{\"event\":{{\"id\":1}}}}\n",
        sealed.trim()
    );
    let opened = transform("decode", folder.path(), lines.as_bytes());
    assert_eq!(opened.lines().count(), 2);
    assert!(
        opened.contains("anNvbi9wbGFpbg==") && opened.ends_with("{\"event\":{\"id\":1}}\n"),
        "{opened}"
    );
}

#[test]
fn exit_statuses_tell_what_was_wrong() {
    let folder = keyring_with("default");
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
        stderr.contains("the payload: the payload belongs to another namespace"),
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
    for operation in ["decode", "encode"] {
        let arguments = [operation, "--keyring", missing.to_str().unwrap()];
        let output = run_with_input(&arguments, &[], &body_of(&plain_payload("a")));
        assert!(!output.status.success(), "{operation} makes no key");
        let words = text(&output.stderr);
        assert!(
            words.contains("codec-server keys create local://default"),
            "{words}"
        );
    }
    assert!(!missing.exists());
}

#[test]
fn the_key_can_come_from_the_environment() {
    let folder = keyring_with("mine");
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
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("TEMPORAL_CODEC_KEY: it is not set"),
        "{output:?}"
    );
}

#[test]
fn config_check_reports_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    let path = file.to_str().unwrap();
    std::fs::write(
        &file,
        "[namespaces.default]\nencrypt = [\"local://default\"]\n",
    )
    .unwrap();
    let output = run(&["config", "check", path]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("no mistakes found"));
    let report: Value =
        serde_json::from_slice(&run(&["config", "check", path, "--json"]).stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["problems"]),
        (&json!(true), &json!([]))
    );

    std::fs::write(
        &file,
        "[server]\nlisten = \"0.0.0.0:1\"\n\n[audit]\nfile = \"x\"\n",
    )
    .unwrap();
    let output = run(&["config", "check", path]);
    assert_eq!(output.status.code(), Some(64));
    let stderr = text(&output.stderr);
    for words in [
        "codec.toml:2: server.listen",
        "codec.toml:4: audit: there is no such section",
        "namespaces: no namespace",
    ] {
        assert!(stderr.contains(words), "{stderr}");
    }
    let output = run(&["config", "check", path, "--json"]);
    assert_eq!(output.status.code(), Some(64));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], json!(false));
    let lines: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["line"])
        .collect();
    assert_eq!(lines, [&json!(1), &json!(2), &json!(4)]);

    let output = run(&["serve", "--config", path]);
    assert_eq!(
        output.status.code(),
        Some(64),
        "the server does not start with it"
    );
    let output = run(&["config", "check", "/nonexistent/codec.toml"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("the file cannot be read"),
        "{output:?}"
    );
}

#[test]
fn a_server_without_a_usable_key_or_address_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(&["serve", "--config", file.to_str().unwrap()])
    };
    let output = start("[namespaces.default]\nencrypt = [\"local://default\"]\n");
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("name the folder of the local keyring"),
        "{output:?}"
    );
    let keys = format!("[keys]\nlocal_keyring = {:?}\n", folder.path().join("none"));
    let output = start(&format!(
        "{keys}[namespaces.default]\nencrypt = [\"local://default\"]\n"
    ));
    assert_eq!(
        output.status.code(),
        Some(64),
        "keys are not made unless asked for"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let keyring = folder.path().join("keys");
    let output = run(&[
        "dev",
        "--listen",
        &address,
        "--keyring",
        keyring.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        text(&output.stderr).contains(&format!("cannot listen on {address}")),
        "{output:?}"
    );
}

#[test]
fn help_has_examples_everywhere() {
    for arguments in [
        &["--help"][..],
        &["dev", "--help"],
        &["serve", "--help"],
        &["encode", "--help"],
        &["decode", "--help"],
        &["config", "check", "--help"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Examples:"), "{arguments:?}");
    }
    assert!(text(&run(&["--version"]).stdout).starts_with("codec-server "));
}
