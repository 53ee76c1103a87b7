//! No text repeats a PIN that is written into a key URI, where it must not be.

use std::{fs, io::Write as _, process::Stdio};

use tempfile::TempDir;

use crate::support::program;

const PIN: &str = "0000-EXAMPLE";

/// Every way in which a PIN gets into a URI: where RFC 7512 has it, and where people put it.
const URIS: [&str; 6] = [
    "pkcs11:token=t;object=k?pin-value=0000-EXAMPLE",
    "pkcs11:token=t;object=k;pin-value=0000-EXAMPLE",
    "pkcs11:pin-value=0000-EXAMPLE;token=t;object=k",
    "pkcs11:token=t;object=k?pin-source=0000-EXAMPLE",
    "pkcs11:token=t;object=k?module-path=/m.so&pin-value=0000-EXAMPLE",
    "PKCS11:token=t;object=k?PIN-VALUE=0000-EXAMPLE",
];

/// Runs the program, which refuses its arguments, and returns what it wrote.
#[track_caller]
fn refused(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut process = program()
        .current_dir(folder.path())
        .env("RUST_LOG", "trace")
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let payload = br#"{"metadata":{"encoding":"YmluYXJ5L3BsYWlu"},"data":"AA=="}"#;
    // It may end before it reads anything.
    let _ = process.stdin.take().unwrap().write_all(payload);
    let output = process.wait_with_output().unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(!output.status.success(), "{arguments:?} succeeded: {out}");
    let written = out + &err;
    assert!(!written.contains(PIN), "{arguments:?}: {written}");
    written
}

#[test]
fn a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for uri in URIS {
        let text = format!(
            "[namespaces.default]\nencrypt = [\"{uri}\"]\n\
             [namespaces.other]\nencrypt = [\"local://a\"]\ndecrypt = [\"{uri}\"]\n"
        );
        fs::write(folder.path().join("codec.toml"), text).unwrap();
        for arguments in [
            &["config", "check", "codec.toml"][..],
            &["config", "check", "codec.toml", "--json"],
            &["serve", "--config", "codec.toml"],
            &["encode", "--config", "codec.toml"],
            &["decode", "--config", "codec.toml"],
            &["doctor", "--config", "codec.toml"],
            &["doctor", "--config", "codec.toml", "--json"],
        ] {
            let written = refused(&folder, arguments, &[]);
            // As a text, and as JSON.
            let names = |line: u8| {
                written.contains(&format!("codec.toml:{line}"))
                    || written.contains(&format!("\"line\": {line},"))
            };
            assert!(
                names(2) && names(5),
                "{arguments:?} names no line: {written}"
            );
        }
    }
}

#[test]
fn the_environment() {
    let folder = tempfile::tempdir().unwrap();
    for uri in URIS {
        for variable in ["TEMPORAL_CODEC_KEY", "TEMPORAL_CODEC_DECRYPT_KEYS"] {
            let variables = [
                ("TEMPORAL_CODEC_KEY", "local://a"),
                ("TEMPORAL_CODEC_KEYRING", "keys"),
                (variable, uri),
            ];
            for arguments in [&["serve"][..], &["encode"], &["decode"], &["doctor"]] {
                let written = refused(&folder, arguments, &variables);
                assert!(written.contains(variable), "{arguments:?}: {written}");
            }
        }
    }
}

#[test]
fn the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    for uri in URIS {
        for arguments in [
            &["seal", "file", "--key", uri][..],
            &["open", "file", "--output", "out", "--key", uri],
            &["seal", "file", uri],
            &["doctor", "--key", uri],
            &["doctor", "--json", "--key", uri],
            &["keys", "create", uri],
            &["keys", "describe", uri],
            &["keys", "list", uri],
            &["keys", "rotate", uri],
            &["keys", "versions", uri],
            &["keys", "public-key", uri],
            &["keys", "disable", uri, "--version", "1"],
            &["keys", "replicate", uri, "us-west-2"],
            &["keys", "grant", uri, "--member", "a", "--role", "encrypter"],
            &["keys", "enable", uri, "--version", "1"],
            &["keys", "destroy", uri, "--version", "1", "--yes"],
            &["keys", uri],
            &[uri],
        ] {
            refused(&folder, arguments, &[]);
        }
    }
}
