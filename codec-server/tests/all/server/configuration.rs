//! Configurations: what is found in them, by `config check` and by `serve`.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{create_key, keyring, run, run_with_input, text};

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
        "[server]\nlisten = \"0.0.0.0:1\"\n\n[extra]\nfile = \"x\"\n",
    )
    .unwrap();
    let output = run(&["config", "check", path]);
    assert_eq!(output.status.code(), Some(78));
    let stderr = text(&output.stderr);
    for words in [
        "codec.toml:2: server.listen",
        "codec.toml:4: extra: there is no such section",
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
            .contains("create it with its key: codec-server keys create local://default --keyring"),
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
#[expect(clippy::too_many_lines, reason = "one table of cases")]
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
            "codec.toml:3: keys.gcp_endpoint: it must be Cloud KMS at Google, such as",
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
            format!(
                "{keys}{namespace}[namespaces.\"*a*\"]\nencrypt = [\"local://default\"]\n[namespaces.\"*b*\"]\nencrypt = [\"local://default\"]\n"
            ),
            "codec.toml:5: namespaces.*a*: a name can have the form of `*a*` and of `*b*`",
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
fn a_missing_key_that_only_decrypts_is_not_to_be_created() {
    let folder = keyring();
    let file = folder.path().join("codec.toml");
    let keyring = folder.path().display();
    let text_of = format!(
        "[keys]\nlocal_keyring = '{keyring}'\n[namespaces.default]\nencrypt = [\"local://default\"]\ndecrypt = [\"local://typo\"]\n"
    );
    std::fs::write(&file, text_of).unwrap();
    let expected = format!(
        "namespaces.default.decrypt: no key local://typo in {keyring}; correct the name or the folder: a new key would \
         open nothing"
    );
    let path = file.to_str().unwrap();
    for arguments in [&["config", "check", path][..], &["serve", "--config", path]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(&expected), "{said}");
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
fn a_configuration_that_powershell_wrote_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    let path = file.to_str().unwrap();
    let text_of = "[namespaces.default]\nencrypt = [\"local://default\"]\n";
    let utf16: Vec<u8> = format!("\u{feff}{text_of}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(&file, utf16).unwrap();
    for arguments in [&["config", "check", path][..], &["serve", "--config", path]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(78));
        let said = text(&output.stderr);
        let expected = format!("codec-server: {path}: the file is in UTF-16");
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains("save it as UTF-8"), "{said}");
    }
    // A mark of UTF-8 is read over.
    std::fs::write(&file, format!("\u{feff}{text_of}")).unwrap();
    let said = text(&run(&["config", "check", path]).stderr);
    assert!(
        said.contains("codec.toml:2: namespaces.default.encrypt"),
        "{said}"
    );
}

#[test]
fn a_mistyped_variable_hides_no_other_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_with_input(
        &["serve"],
        &[
            ("TEMPORAL_CODEC_KEY", "local://default"),
            ("CODEC_KEYS_LOCAL_KEYRING", folder.path().to_str().unwrap()),
            ("CODEC_SERVER_LISTN", "127.0.0.1:1"),
            ("CODEC_CACHE_TTL", "soon"),
        ],
        b"",
    );
    let said = text(&output.stderr);
    for words in [
        "CODEC_CACHE_TTL: cache.ttl: expected a time",
        "CODEC_SERVER_LISTN: there is no such variable",
        "no key local://default in ",
    ] {
        assert!(said.contains(words), "{said}");
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
        "no keyring /nonexistent; create it with its key: ",
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
