//! The program: what it reads and writes, and how it ends.

use std::{path::Path, process::Stdio};

use crate::support::{
    body_of, create_key, decode64, encode64, plain, plain_payload, run, run_with_input,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A keyring with the default key.
fn keyring() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "default");
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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
    let folder = keyring();
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
    let folder = keyring();
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
    let folder = keyring();
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
        assert!(
            words.contains("codec-server keys create local://default"),
            "{words}"
        );
        assert!(!missing.exists());
    }
    let output = run(&["decode", "/nonexistent/history.json", "--keyring", keyring]);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
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

#[test]
fn config_check_reports_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "default");
    let file = folder.path().join("codec.toml");
    let path = file.to_str().unwrap();
    let good = format!(
        "[keys]\nlocal_keyring = {:?}\n[namespaces.default]\nencrypt = [\"local://default\"]\n",
        folder.path()
    );
    std::fs::write(&file, good).unwrap();
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
    assert_eq!(output.status.code(), Some(78));
    let stderr = text(&output.stderr);
    for words in [
        "codec.toml:2: server.listen",
        "codec.toml:4: audit: there is no such section",
        "namespaces: no namespace",
    ] {
        assert!(stderr.contains(words), "{stderr}");
    }
    let output = run(&["config", "check", path, "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], json!(false));
    let lines: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["line"])
        .collect();
    assert_eq!(lines, [&Value::Null, &json!(2), &json!(4)]);

    let output = run(&["serve", "--config", path]);
    assert_eq!(
        output.status.code(),
        Some(78),
        "the server does not start with it"
    );
    let output = run(&["config", "check", "/nonexistent/codec.toml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("/nonexistent/codec.toml: the file cannot be read"),
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
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr)
            .contains("codec.toml:2: namespaces.default.encrypt: local://default: name the folder"),
        "{output:?}"
    );
    let keys = format!("[keys]\nlocal_keyring = {:?}\n", folder.path().join("none"));
    let output = start(&format!(
        "{keys}[namespaces.default]\nencrypt = [\"local://default\"]\n"
    ));
    assert_eq!(output.status.code(), Some(78), "a server creates no keys");
    assert!(
        text(&output.stderr)
            .contains("create it: codec-server keys create local://default --keyring"),
        "{output:?}"
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
fn both_check_and_serve_refuse_what_cannot_work_with_the_same_words() {
    let folder = keyring();
    let file = folder.path().join("codec.toml");
    let path = file.to_str().unwrap();
    let keys = format!("[keys]\nlocal_keyring = {:?}\n", folder.path());
    let namespace = "[namespaces.default]\nencrypt = [\"local://default\"]\n";
    let gcp = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
    for (file_text, words) in [
        (
            format!("{keys}{namespace}context = {{ namespace = \"x\" }}\n"),
            "codec.toml:5: namespaces.default.context: ",
        ),
        (
            format!(
                "{keys}[namespaces.default]\nencrypt = [\"local://default\", {gcp:?}]\nformat = \"direct\"\n"
            ),
            "codec.toml:4: namespaces.default.encrypt: only the format `envelope` has several recipients",
        ),
        (
            format!("{keys}gcp_endpoint = \"http://example.com\"\n{namespace}"),
            "codec.toml:3: keys.gcp_endpoint: http:// is for this machine only",
        ),
        (
            format!("{keys}gcp_endpoint = \"https://example.com\"\n{namespace}"),
            "codec.toml:3: keys.gcp_endpoint: it must be an emulator on this machine",
        ),
        (
            format!("{keys}aws_endpoint = \"nonsense\"\n{namespace}"),
            "codec.toml:3: keys.aws_endpoint: ",
        ),
        (
            namespace.to_owned(),
            "codec.toml:2: namespaces.default.encrypt: local://default: name the folder of local:// keys",
        ),
        (
            format!("[keys]\nlocal_keyring = 5\n{namespace}"),
            "codec.toml:2: keys.local_keyring: expected a text in quotes",
        ),
        (
            format!(
                "[server]\nlisten = \"127.0.0.1:9999\"\nadmin_listen = \"127.0.0.1:9999\"\n{keys}{namespace}"
            ),
            "codec.toml:3: server.admin_listen: it is the address of `listen` too",
        ),
        (
            format!("{keys}{namespace}[namespaces.\"*\"]\nencrypt = [\"local://default\"]\n"),
            "codec.toml:5: namespaces.*: a section is for one namespace",
        ),
        (
            format!("{keys}[namespaces.prod.a1b2c]\nencrypt = [\"local://default\"]\n"),
            "codec.toml:3: namespaces.prod.a1b2c: quote a name with dots: [namespaces.\"prod.a1b2c\"]",
        ),
        (
            format!("[server]\nbody_timeout = \"584942417355y\"\n{keys}{namespace}"),
            "codec.toml:2: server.body_timeout: it must be at most 366 days",
        ),
        (
            format!("[server]\nmax_body = \"9999TiB\"\n{keys}{namespace}"),
            "codec.toml:2: server.max_body: it must be at most 1TiB",
        ),
        (
            format!("[cache]\ndata_keys = 0\n{keys}{namespace}"),
            "codec.toml:2: cache.data_keys: expected a whole number",
        ),
        (
            format!("[keys.calls]\nmax_attempts = 0\n{keys}{namespace}"),
            "codec.toml:2: keys.calls.max_attempts: expected a whole number from 1",
        ),
        (
            format!("{keys}gcp_credentials = \"/nonexistent/gcp.json\"\n{namespace}"),
            "codec.toml:3: keys.gcp_credentials: there is no file /nonexistent/gcp.json",
        ),
        (
            format!("{keys}pkcs11_module = \"/nonexistent/p11.so\"\n{namespace}"),
            "codec.toml:3: keys.pkcs11_module: there is no file /nonexistent/p11.so",
        ),
        (
            format!("{keys}[namespaces.default]\nencrypt = [\"local://typo\"]\n"),
            "codec.toml:4: namespaces.default.encrypt: no key local://typo in ",
        ),
        (
            format!(
                "{keys}[namespaces.default]\nencrypt = [\"local://default\", \"local://default\"]\n"
            ),
            "codec.toml:4: namespaces.default.encrypt: local://default is named twice",
        ),
        (
            format!("{keys}create_local_keys = true\n{namespace}"),
            "codec.toml:3: keys.create_local_keys: a server creates no keys",
        ),
        (
            format!("{keys}{namespace}fromat = \"envelope\"\n"),
            "codec.toml:5: namespaces.default.fromat: there is no such setting; did you mean `format`?",
        ),
        (
            format!("{keys}{namespace}{namespace}"),
            "codec.toml:5: not TOML: ",
        ),
    ] {
        std::fs::write(&file, &file_text).unwrap();
        let check = run(&["config", "check", path]);
        let serve = run(&["serve", "--config", path]);
        let said = text(&check.stderr);
        assert_eq!(check.status.code(), Some(78), "{file_text}\n{said}");
        assert!(said.contains(words), "{file_text}\n{said}");
        assert_eq!(serve.status.code(), Some(78), "{file_text}");
        assert_eq!(said, text(&serve.stderr));
    }
}

#[test]
fn a_configuration_that_is_not_a_file_is_refused_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
        for command in [&["config", "check"][..], &["serve", "--config"]] {
            let output = run(&[command, &[path.to_str().unwrap()]].concat());
            assert_eq!(output.status.code(), Some(78), "{path:?}");
            let said = text(&output.stderr);
            let expected = format!("codec-server: {}: it is not a regular file", path.display());
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

#[test]
fn variables_over_settings_have_an_effect_or_are_refused() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let serve = |variables: &[(&str, &str)]| {
        let all = [
            ("TEMPORAL_CODEC_KEY", "local://default"),
            ("CODEC_SERVER_LISTEN", "127.0.0.1:0"),
        ];
        let output = run_with_input(&["serve"], &[&all[..], variables].concat(), b"");
        (output.status.code(), text(&output.stderr))
    };
    let refused = |variables: &[(&str, &str)], words: &str| {
        let (code, said) = serve(variables);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused(&[], "local://default: name the folder of local:// keys");
    refused(
        &[("CODEC_KEYS_LOCAL_KEYRING", "/nonexistent")],
        "no key local://default in /nonexistent",
    );
    refused(
        &[
            ("CODEC_KEYS_LOCAL_KEYRING", keyring),
            ("CODEC_KEYS_CALLS", "x"),
            ("CODEC_KEYS_GCP_ENDPOINT", "http://example.com"),
        ],
        "CODEC_KEYS_GCP_ENDPOINT: keys.gcp_endpoint: http:// is for this machine only",
    );
    refused(
        &[
            ("CODEC_KEYS_LOCAL_KEYRING", keyring),
            ("CODEC_SERVER_LISTN", "127.0.0.1:1"),
        ],
        "CODEC_SERVER_LISTN: there is no such variable; did you mean CODEC_SERVER_LISTEN?",
    );
    refused(
        &[
            ("CODEC_KEYS_LOCAL_KEYRING", keyring),
            ("TEMPORAL_CODEC_FORMAT", "v9"),
        ],
        "TEMPORAL_CODEC_FORMAT: ",
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
fn data_that_only_looks_like_a_payload_is_left_alone() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let history = |inner: &str| {
        format!(
            "{{\"events\": [\n  {{\"input\": {{\"payloads\": [{{\"metadata\": {{\"encoding\": \"json/plain\"}}, \
             \"data\": \"hello\"}}]}}}},\n  {{\"input\": {{\"payloads\": [{inner}]}}}}\n]}}\n"
        )
    };
    let opened = transform("decode", folder.path(), history(sealed.trim()).as_bytes());
    let plain = plain_payload("x");
    let expected = format!(
        "{{\"metadata\":{{\"encoding\":{}}},\"data\":{}}}",
        plain["metadata"]["encoding"], plain["data"]
    );
    assert_eq!(opened, history(&expected));
}

#[test]
fn errors_name_the_place_in_the_file_and_the_others_are_decoded() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let broken = sealed.trim().replace("\"data\":\"", "\"data\":\"?");
    let lines = format!(
        "{{\"a\":1}}\n{{\"b\":{broken}}}\n{{\"c\":{}}}\n",
        sealed.trim()
    );
    let output = run_with_input(&["decode", "--keyring", keyring], &[], lines.as_bytes());
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(
        said.contains(
            "stdin: the payload at line 2, column 6: `data` is not base64, at line 2, column "
        ),
        "{said}"
    );
    let arguments = ["decode", "--keyring", keyring, "--keep-going"];
    let output = run_with_input(&arguments, &[], lines.as_bytes());
    assert_eq!(output.status.code(), Some(65));
    let written = text(&output.stdout);
    assert!(
        written.contains(&broken) && !written.contains(sealed.trim()),
        "{written}"
    );
}

#[test]
fn byte_order_marks_and_utf16_are_read() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&["x"])));
    let units: Vec<u16> = sealed.encode_utf16().collect();
    let little = units.iter().flat_map(|unit| unit.to_le_bytes());
    let big = units.iter().flat_map(|unit| unit.to_be_bytes());
    for input in [
        [b"\xef\xbb\xbf", sealed.as_bytes()].concat(),
        b"\xff\xfe".iter().copied().chain(little).collect(),
        b"\xfe\xff".iter().copied().chain(big).collect(),
    ] {
        let opened = transform("decode", folder.path(), &input);
        assert_eq!(
            serde_json::from_str::<Value>(&opened).unwrap(),
            plain(&["x"])
        );
    }
}

#[test]
fn a_field_of_a_later_version_is_treated_alike_by_files_and_http() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let later = sealed.trim().replacen('{', "{\"later\":[{\"a\":{}}],", 1);
    let opened = transform(
        "decode",
        folder.path(),
        format!("{{\"x\":{later}}}").as_bytes(),
    );
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened, json!({ "x": plain_payload("x") }));
}

#[test]
fn text_is_printed_a_payload_a_line() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&["one", "two"])));
    let arguments = ["decode", "--text", "--keyring", keyring];
    let output = run_with_input(&arguments, &[], sealed.as_bytes());
    assert_eq!(text(&output.stdout), "\"one\"\n\"two\"\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_payload_of_another_key_names_it() {
    let folder = keyring();
    create_key(folder.path(), "other");
    let keyring = folder.path().to_str().unwrap();
    let input = body_of(&plain_payload("x"));
    let arguments = ["encode", "--keyring", keyring, "--key", "local://other"];
    let sealed = run_with_input(&arguments, &[], &input).stdout;
    let output = run_with_input(&["decode", "--keyring", keyring], &[], &sealed);
    assert_eq!(output.status.code(), Some(65));
    let said = text(&output.stderr);
    assert!(
        said.contains("it is encrypted with local://other, which is not configured"),
        "{said}"
    );
    let arguments = ["decode", "--keyring", keyring, "--key", "local://other"];
    assert!(run_with_input(&arguments, &[], &sealed).status.success());
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let folder = keyring();
    let texts: Vec<String> = (0..2000)
        .map(|n| format!("{n} {}", "x".repeat(200)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&texts)));
    let mut process = crate::support::program()
        .args(["decode", "--keyring", folder.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stdout.take());
    let mut stdin = process.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, sealed.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_hostile_document_is_refused_with_its_place() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
    let twice = format!(
        "{{\"a\":\n{{\"metadata\":{{\"encoding\":\"{}\"}},\"data\":\"\",\"data\":\"\"}}}}",
        encode64(b"json/plain")
    );
    for (input, words) in [
        (
            deep.as_str(),
            "stdin: nested too deeply, at line 1, column 10001",
        ),
        (twice.as_str(), "`data` is given twice, at line 2, column "),
        (
            "{\"a\":\n[1,}",
            "stdin: not JSON: unexpected character at line 2, column 4",
        ),
    ] {
        let output = run_with_input(&["decode", "--keyring", keyring], &[], input.as_bytes());
        assert_eq!(output.status.code(), Some(65));
        let said = text(&output.stderr);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_terminal_that_closes_stops_a_server_as_sigterm_does() {
    let mut server = crate::support::CodecServer::dev();
    server.serves();
    server.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(server.wait().success());
    server.wait_for_log("told to stop");
}

#[test]
fn a_server_cannot_dump_its_memory() {
    let server = crate::support::CodecServer::dev();
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
fn a_pin_in_a_key_is_never_repeated() {
    const PIN: &str = "4711-0815";
    let folder = keyring();
    let file = folder.path().join("codec.toml");
    for key in [
        format!("pkcs11:token=t;object=k?pin-value={PIN}"),
        format!("pkcs11:token=t;object=k;pin-value={PIN}"),
    ] {
        std::fs::write(
            &file,
            format!("[namespaces.default]\nencrypt = [{key:?}]\n"),
        )
        .unwrap();
        let path = file.to_str().unwrap();
        let variable = [("TEMPORAL_CODEC_KEY", key.as_str())];
        for (arguments, variables) in [
            (&["config", "check", path][..], &[][..]),
            (&["config", "check", path, "--json"], &[]),
            (&["serve", "--config", path], &[]),
            (&["encode", "--config", path], &[]),
            (&["encode", "--key", &key], &[]),
            (&["seal", path, "--key", &key], &[]),
            (&["encode"], &variable),
            (&["serve"], &variable),
            (&["seal", path], &variable),
            (&["seal", "--help"], &variable),
        ] {
            let output = run_with_input(arguments, variables, b"");
            let all = [output.stdout, output.stderr].concat();
            assert!(!text(&all).contains(PIN), "{arguments:?}: {}", text(&all));
        }
    }
}
