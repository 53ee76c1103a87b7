//! Messages and exit codes when a command cannot begin. These tests need no server.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Command, Output},
};

use integration_tests::Keyring;

const KEY: (&str, &str) = ("ANTHROPIC_API_KEY", "sk-ant-usage");

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-tasks"));
    // A worker makes its folder where it starts.
    command
        .args(arguments)
        .env_clear()
        .current_dir(folder.path());
    let Output { status, stderr, .. } = command
        .envs(variables.iter().copied())
        .output()
        .expect("it runs");
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_usage_ends_with_64() {
    for (arguments, variables, expected) in [
        (
            &["submit"][..],
            &[KEY][..],
            "give --prompt, --prompt-file or --request",
        ),
        (
            &["submit", "--prompt", "x"],
            &[],
            "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN",
        ),
        (&["submit", "--max-turns", "0"], &[KEY], "--max-turns"),
        (
            &["submit", "--timeout-minutes", "1441"],
            &[KEY],
            "--timeout-minutes",
        ),
        (&["submit", "--queue-time", "0s"], &[KEY], "--queue-time"),
        (&["worker", "--drain-time", "15"], &[], "--drain-time"),
        (
            &["worker", "--grace-time", "999999999999h"],
            &[],
            "--grace-time",
        ),
        (&["worker", "--max-output", "0"], &[], "--max-output"),
        (
            &["worker"],
            &[("CLAUDE_TASKS_MAX_OUTPUT", "x")],
            "CLAUDE_TASKS_MAX_OUTPUT (environment variable)",
        ),
        (&["worker", "--tls-cert", "x"], &[], "--tls-key"),
        (
            &["submit", "--address", "http://u:secret@x:1"],
            &[],
            "must not have a user name",
        ),
        (&["follow", "not url-safe"], &[], "TASK"),
        (&["nonsense"], &[], "nonsense"),
    ] {
        let (code, problem) = run(arguments, variables);
        assert_eq!(code, Some(64), "{arguments:?}: {problem}");
        assert!(problem.contains(expected), "{arguments:?}: {problem}");
    }
}

#[test]
fn the_input_decides_between_65_and_66() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    fs::write(&path, "{").unwrap();
    let (code, problem) = run(&["submit", "--request", path.to_str().unwrap()], &[KEY]);
    assert_eq!(code, Some(65), "{problem}");
    assert!(problem.contains("request.json: "), "{problem}");
    let (code, problem) = run(&["submit", "--prompt-file", "/no/such/file"], &[KEY]);
    assert_eq!(code, Some(66), "{problem}");
}

#[test]
fn a_prompt_that_is_too_large_as_json_is_refused_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt");
    for text in ["\n".repeat(1_200_000), "\"".repeat(1_500_000)] {
        fs::write(&path, "x".to_owned() + &text).unwrap();
        let (code, problem) = run(&["submit", "--prompt-file", path.to_str().unwrap()], &[KEY]);
        assert_eq!(code, Some(64), "{problem}");
        assert!(problem.contains("bytes as JSON"), "{problem}");
    }
}

#[test]
fn the_api_gets_credentials_over_tls_only() {
    let keyring = Keyring::new();
    let keyring = keyring.folder().to_str().unwrap();
    let worker = [
        "worker",
        "--keyring",
        keyring,
        "--workdir",
        keyring,
        "--claude",
        "/bin/true",
        "--address",
        "http://127.0.0.1:1",
        "--anthropic-base-url",
    ];
    for (url, code, expected) in [
        ("http://far.example", 64, "--anthropic-base-url"),
        ("http://far.example:443/v1", 64, "https://"),
        ("http://127.0.0.1.far.example", 64, "https://"),
        ("http://user@127.0.0.1", 64, "user name"),
        ("ftp://127.0.0.1", 64, "--anthropic-base-url"),
        // These are accepted. The error is that Temporal is missing.
        ("https://far.example/v1", 69, "cannot reach Temporal"),
        ("http://127.0.0.1:9", 69, "cannot reach Temporal"),
        ("http://[::1]:9", 69, "cannot reach Temporal"),
    ] {
        let (ended, problem) = run(&[&worker[..], &[url]].concat(), &[]);
        assert_eq!(ended, Some(code), "{url}: {problem}");
        assert!(problem.contains(expected), "{url}: {problem}");
    }
    let variable = ("ANTHROPIC_BASE_URL", "http://far.example");
    let (code, problem) = run(&worker[..worker.len() - 1], &[variable]);
    assert_eq!(code, Some(64), "{problem}");
    assert!(problem.contains("ANTHROPIC_BASE_URL"), "{problem}");
}

#[test]
fn no_credential_leaves_this_machine_without_tls() {
    let keyring = Keyring::new();
    let keyring = keyring.folder().to_str().unwrap();
    let secret = ("TEMPORAL_API_KEY", "temporal-api-key-5e1d");
    let submit = ["submit", "--prompt", "x", "--keyring", keyring, "--address"];
    // 192.0.2.1 is an address for documentation. A connection to it would hang.
    for (address, variables, expected) in [
        (
            "http://192.0.2.1:7233",
            &[KEY, secret][..],
            "use https://, or leave the key out",
        ),
        (
            "http://127.0.0.1:1",
            &[KEY, ("TEMPORAL_TLS_CA", "/ca.pem")],
            "use https://, or leave them out",
        ),
    ] {
        let arguments = [&submit[..], &[address]].concat();
        let (code, problem) = run(&arguments, variables);
        assert_eq!(code, Some(64), "{problem}");
        assert!(problem.contains(expected), "{problem}");
        assert!(!problem.contains(secret.1), "{problem}");
    }
    // Empty variables count as unset, so the command tries to connect.
    let empty = [
        "TEMPORAL_API_KEY",
        "TEMPORAL_TLS_CA",
        "TEMPORAL_TLS_CERT",
        "TEMPORAL_TLS_KEY",
        "TEMPORAL_CODEC_KEY",
    ];
    let variables: Vec<_> = empty.iter().map(|name| (*name, "")).chain([KEY]).collect();
    let arguments = [&submit[..], &["http://127.0.0.1:1"]].concat();
    let (code, problem) = run(&arguments, &variables);
    assert_eq!(code, Some(69), "{problem}");
    assert_eq!(
        problem.lines().last(),
        Some(
            "error: cannot reach Temporal at http://127.0.0.1:1: connection refused; check that it runs, and --address"
        )
    );
}

#[test]
fn tls_at_a_port_that_does_not_speak_it_is_told() {
    let keyring = Keyring::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        for client in listener.incoming().take(1) {
            let mut client = client.unwrap();
            let mut hello = [0; 256];
            let _ = client.read(&mut hello);
            client
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        }
    });
    let keyring = keyring.folder().to_str().unwrap();
    let arguments = [
        "submit",
        "--prompt",
        "x",
        "--keyring",
        keyring,
        "--address",
        &address,
    ];
    let (code, problem) = run(&arguments, &[KEY]);
    answering.join().unwrap();
    assert_eq!(code, Some(69), "{problem}");
    assert!(
        problem.contains("it does not speak TLS; write http://"),
        "{problem}"
    );
}

#[test]
fn a_wrong_keyring_is_an_error_and_stays_empty() {
    let keyring = Keyring::empty();
    let folder = keyring.folder().to_str().unwrap();
    let address = ["--address", "http://127.0.0.1:1", "--keyring", folder];
    for command in [
        &["worker", "--claude", "/bin/true"][..],
        &["submit", "--prompt", "x"],
    ] {
        let arguments = [command, &address].concat();
        let (code, problem) = run(&arguments, &[KEY]);
        assert_eq!(code, Some(78), "{problem}");
        let remedy = "codec-server keys create local://default --keyring";
        assert!(problem.contains(remedy), "{problem}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "it made a key");
    }
}

#[test]
fn a_key_that_is_only_read_is_not_to_be_created() {
    let keyring = Keyring::empty();
    let folder = keyring.folder().to_str().unwrap();
    let connection = ["--address", "http://127.0.0.1:1", "--keyring", folder];
    for command in ["follow", "result", "logs"] {
        let arguments = [&[command, "t-1"][..], &connection].concat();
        let (code, problem) = run(&arguments, &[]);
        assert_eq!(code, Some(78), "{command}: {problem}");
        let expected = format!(
            "cannot decrypt payloads: no key local://default in {folder}; correct the key's name in TEMPORAL_CODEC_KEY, \
             or its folder in --keyring"
        );
        assert!(problem.contains(&expected), "{command}: {problem}");
        assert!(!problem.contains("create"), "{command}: {problem}");
    }
}

#[test]
fn a_bucket_that_cannot_be_right_is_refused() {
    let bucket = ("GCS_LOGS_BUCKET", "my bucket");
    for arguments in [
        &["submit", "--prompt", "x"][..],
        &["worker"],
        &["api"],
        &["all"],
        &["logs", "task"],
        &["list"],
    ] {
        let (code, problem) = run(arguments, &[KEY, bucket]);
        assert_eq!(code, Some(78), "{arguments:?}: {problem}");
        let expected = "error: GCS_LOGS_BUCKET is wrong: a bucket's name has lower-case letters";
        assert!(problem.contains(expected), "{arguments:?}: {problem}");
    }
    // The variable does not count beside --store.
    let (_, problem) = run(
        &["submit", "--prompt", "x", "--store", "none"],
        &[KEY, bucket],
    );
    assert!(!problem.contains("GCS_LOGS_BUCKET"), "{problem}");
    let (code, problem) = run(&["worker"], &[("CLAUDE_TASKS_STORE", "https://logs")]);
    assert_eq!(code, Some(64), "{problem}");
    assert!(problem.contains("CLAUDE_TASKS_STORE"), "{problem}");
}

#[test]
fn every_variable_has_an_effect_or_is_refused() {
    let keyring = Keyring::new();
    let folder = keyring.folder().to_str().unwrap();
    let submit = ["submit", "--prompt", "x", "--address", "http://127.0.0.1:1"];
    // The variable has the same effect as the option.
    let (code, problem) = run(&submit, &[KEY, ("TEMPORAL_CODEC_KEYRING", folder)]);
    assert_eq!(code, Some(69), "{problem}");
    let (code, problem) = run(&submit, &[KEY, ("CLAUDE_TASKS_KEYRING", folder)]);
    assert_eq!(code, Some(78), "{problem}");
    assert!(problem.contains("set TEMPORAL_CODEC_KEYRING"), "{problem}");
    let google = [
        KEY,
        (
            "TEMPORAL_CODEC_KEY",
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
        ),
        ("GCP_KMS_ENDPOINT", "http://127.0.0.1:1"),
    ];
    let (code, problem) = run(&[&submit[..], &["--keyring", folder]].concat(), &google);
    assert_eq!(code, Some(78), "{problem}");
    assert!(problem.contains("leave --keyring out"), "{problem}");
}

#[test]
fn help_shows_the_defaults_and_the_exit_codes() {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_claude-tasks"))
            .args([command, "--help"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let submit = help("submit");
    for part in [
        "[default: 6]",
        "[default: 55]",
        "  130  the task was cancelled",
        "TEMPORAL_CODEC_KEYRING",
    ] {
        assert!(submit.contains(part), "{part}: {submit}");
    }
    for command in ["worker", "follow", "result", "status", "cancel"] {
        assert!(help(command).contains("Exit codes:"), "{command}");
    }
}

#[test]
fn variables_of_a_file_count_but_not_for_the_supervisor_of_tasks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "ANTHROPIC_API_KEY=a b\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_claude-tasks"))
            .args(arguments)
            .env_clear()
            .current_dir(folder.path())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it runs");
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, problem) = run(&["submit", "--prompt", "x"]);
    assert_eq!(code, Some(78), "{problem}");
    assert!(
        problem.contains("/.env:1: text follows the value"),
        "{problem}"
    );
    // A task's workspace may have such a file, too.
    let (_, problem) = run(&["--log-format", "json", "supervise"]);
    assert!(!problem.contains(".env"), "{problem}");

    fs::write(
        folder.path().join(".env"),
        "ANTHROPIC_API_KEY=sk-ant-usage\n",
    )
    .unwrap();
    let (code, problem) = run(&["submit", "--prompt", "x"]);
    assert_eq!(code, Some(78), "{problem}");
    assert!(problem.contains("TEMPORAL_CODEC_KEY"), "{problem}");
    assert!(!problem.contains(".env"), "{problem}");

    // An error about what the file has set names the file, and not the value.
    let with_key = "ANTHROPIC_API_KEY=sk-ant-usage\nTEMPORAL_CODEC_KEY=locl://typo\n";
    fs::write(folder.path().join(".env"), with_key).unwrap();
    let (code, problem) = run(&["submit", "--prompt", "x"]);
    assert_eq!(code, Some(78), "{problem}");
    let expected = "/.env sets TEMPORAL_CODEC_KEY; if that is wrong, correct the file";
    let is_note = |line: &str| line.starts_with("note: ") && line.contains(expected);
    assert_eq!(
        problem.lines().filter(|line| is_note(line)).count(),
        1,
        "{problem}"
    );
    assert!(!problem.contains("sk-ant-usage"), "{problem}");
}
