//! Namespaces that read the payloads of other codecs, and namespaces that only decode.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{CodecServer, create_key, plain, run, text};

#[test]
fn static_keys_are_read_and_a_namespace_without_a_key_only_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old-key");
    std::fs::write(&file, "test-key-test-key-test-key-test!\n").unwrap();
    let keys = format!("static_keys = {{ test = '{}' }}", file.display());
    let server = CodecServer::serve(
        "",
        &format!(
            "[namespaces.default]\nencrypt = [\"local://default\"]\n\
             decrypt_formats = [\"envelope\", \"static\", \"zlib\"]\n{keys}\n\
             [namespaces.reader]\ndecrypt_formats = [\"static\"]\n{keys}\n"
        ),
    );
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/foreign.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let of = |name: &str| cases.iter().find(|case| case["name"] == name).unwrap();
    for (namespace, name) in [
        ("default", "static"),
        ("default", "java"),
        ("default", "static over zlib"),
        ("reader", "static"),
    ] {
        let body = json!({ "payloads": [of(name)["payload"]] });
        let decoded = server.call("/decode", namespace, &body).json();
        assert_eq!(
            decoded["payloads"][0],
            of(name)["plain"],
            "{namespace} {name}"
        );
    }
    let body = json!({ "payloads": [of("static with an empty id")["payload"]] });
    server
        .call("/decode", "default", &body)
        .refused(400, "a key that this server is not configured to use");
    server
        .call("/encode", "reader", &plain(&["x"]))
        .refused(403, "only decodes");
    server.serves();
}

#[test]
fn the_audit_log_names_static_keys_and_every_recipient() {
    let mut log = PathBuf::new();
    let server = CodecServer::configured(|folder| {
        log = folder.join("audit");
        fs::create_dir(&log).unwrap();
        fs::set_permissions(&log, PermissionsExt::from_mode(0o700)).unwrap();
        let file = folder.join("old-key");
        fs::write(&file, "test-key-test-key-test-key-test!\n").unwrap();
        create_key(&folder.join("keys"), "other");
        format!(
            "[audit]\nfolder = '{}'\n[namespaces.default]\n\
             encrypt = [\"local://default\", \"local://other\"]\n\
             decrypt_formats = [\"envelope\", \"static\"]\nstatic_keys = {{ test = '{}' }}\n",
            log.display(),
            file.display()
        )
    });
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/foreign.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let old = cases.iter().find(|case| case["name"] == "static").unwrap();
    let mut body = server.encode("default", &plain(&["x"]));
    body["payloads"]
        .as_array_mut()
        .unwrap()
        .push(old["payload"].clone());
    assert_eq!(server.call("/decode", "default", &body).status, 200);
    let written = fs::read_to_string(log.join("audit-00000001.jsonl")).unwrap();
    let mut lines = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let decode = lines.find(|line| line["operation"] == "decode" && line["event"] == "request");
    assert_eq!(
        decode.unwrap()["keys"],
        json!(["local://default", "local://other", "static:test"])
    );
}

#[test]
fn a_configuration_with_wrong_static_keys_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    for (settings, words) in [
        ("static_keys = { a = \"keys/a\" }", "absolute path"),
        (
            "static_keys = { a = \"/no/such/key\" }",
            "there is no such file",
        ),
        (
            "static_keys = { a = \"env:OLD\" }",
            "add it to `decrypt_formats`",
        ),
        (
            "decrypt_formats = [\"envelope\", \"static\"]",
            "no static key is set",
        ),
        ("format = \"static\"", "is not written"),
    ] {
        let with_format = if settings.contains("/no/such") {
            "decrypt_formats = [\"envelope\", \"static\"]\n"
        } else {
            ""
        };
        let text_of = format!(
            "[keys]\nlocal_keyring = '{}'\n[namespaces.default]\nencrypt = [\"local://default\"]\n\
             {with_format}{settings}\n",
            folder.path().display()
        );
        std::fs::write(&file, text_of).unwrap();
        let output = run(&["config", "check", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78), "{settings}");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(words), "{settings}: {said}");
    }
}
