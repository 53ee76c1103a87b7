//! Runs every example of the library as a program, as its reader does.
#![allow(clippy::expect_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use dev_servers::sibling_binary;
use integration_tests::{Raw, assert_absent, temporal};
use prost::Message as _;
use tempfile::TempDir;
use temporal_kms_codec::kms::local::LocalKeyring;

/// The examples that need nothing but a folder for their keys, and what each prints.
const BY_THEMSELVES: [(&str, &str); 7] = [
    ("by_hand", "wrapped data keys: 1"),
    (
        "several_recipients",
        "local://west opened the payload alone",
    ),
    ("own_key_service", "the payload names memory://payloads"),
    (
        "audited_key",
        "unwrap with local://payloads under {\"namespace\": \"default\"}",
    ),
    ("migration", "refused: the payload is not encrypted"),
    ("sealed_files", "file: 1000000 bytes"),
    ("signing", "local://releases signed with ECDSA_P256_SHA256"),
];
const WITH_TEMPORAL: &str = "worker_and_client";

#[test]
fn every_example_without_a_server_runs() {
    for (example, printed) in BY_THEMSELVES {
        let folder = TempDir::new().expect("a folder");
        let output = program(example).arg(folder.path()).output();
        assert_printed(example, &output.expect("it starts"), printed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_with_worker_and_client_runs_and_temporal_stores_ciphertext() {
    let server = temporal();
    let folder = TempDir::new().expect("a folder");
    let keyring = LocalKeyring::open(folder.path());
    keyring.key_or_create("default").expect("a key");
    let output = program(WITH_TEMPORAL)
        .arg(server.url())
        .env("TEMPORAL_CODEC_KEY", "local://default")
        .env("TEMPORAL_CODEC_KEYRING", folder.path())
        .output();
    assert_printed(WITH_TEMPORAL, &output.expect("it starts"), "Hello, World");

    let raw = Raw::connect(&server, "default").await;
    let stored = raw.history("greet-world", "").await.encode_to_vec();
    assert_absent("the history", &stored, &["Hello, World"]);
}

#[test]
fn every_example_is_run_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../codec/examples");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .expect("the examples")
        .map(|file| file.expect("a file").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let run: BTreeSet<String> = BY_THEMSELVES
        .iter()
        .map(|(name, _)| *name)
        .chain([WITH_TEMPORAL])
        .map(str::to_owned)
        .collect();
    assert_eq!(files, run);
}

fn program(example: &str) -> Command {
    let program = sibling_binary(&format!("examples/{example}"));
    let program = program.expect("built by `cargo build --workspace --all-targets`");
    let mut command = Command::new(program);
    command.env_clear();
    command
}

fn assert_printed(example: &str, output: &Output, text: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {printed}{errors}");
    assert!(printed.contains(text), "{example}: {printed}");
}
