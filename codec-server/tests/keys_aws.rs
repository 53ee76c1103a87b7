//! `codec-server keys` against a server that follows AWS KMS's API Reference.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use aws_kms_script::{Account, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const ALIAS: &str = "aws-kms://alias/payload-encryption";
const WORKER: &str = "arn:aws:iam::111122223333:role/worker";
const SETUP: [&str; 7] = [
    "setup",
    "--provider",
    "aws",
    "--api-member",
    "arn:aws:iam::111122223333:role/api",
    "--worker-member",
    WORKER,
];

/// The program, one region of AWS, and nobody at the terminal.
struct Bench {
    folder: TempDir,
    server: Server,
    _runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: runtime.block_on(Account::new().serve("eu-west-1")).unwrap(),
            _runtime: runtime,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_codec-server"))
            .env_clear()
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL", self.server.url())
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "an-administrators-secret")
            .current_dir(self.folder.path())
            .arg("keys")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert!(!error.contains("administrators-secret"));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn outcomes(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|step| step["outcome"].as_str().unwrap())
        .collect()
}

#[test]
fn setup_makes_everything_once() {
    let bench = Bench::new();
    let env = bench.folder.path().join(".env");
    fs::write(&env, "# mine\nKMS_PROVIDER=gcp\nTOKEN=a\n").unwrap();
    let first = bench.json(&SETUP);
    assert_eq!(outcomes(&first), ["changed"; 6], "{first}");
    let written = "# mine\nKMS_PROVIDER=aws\nTOKEN=a\nAWS_REGION=eu-west-1\n\
                   KMS_KEY_ALIAS=alias/payload-encryption\n";
    assert_eq!(fs::read_to_string(&env).unwrap(), written);

    let second = bench.json(&SETUP);
    assert_eq!(outcomes(&second), ["unchanged"; 6], "{second}");
    assert_eq!(fs::read_to_string(&env).unwrap(), written);
    let described = bench.json(&["describe", ALIAS]);
    assert_eq!(described["rotation_period_seconds"], 90 * 24 * 3600);
    for role in ["encrypter", "decrypter"] {
        let again = bench.json(&["grant", ALIAS, "--member", WORKER, "--role", role]);
        assert_eq!(again["changed"], false, "{role}");
    }
}

#[test]
fn a_key_is_replicated_disabled_and_scheduled_for_deletion() {
    let bench = Bench::new();
    let made = bench.json(&["create", ALIAS, "--multi-region"]);
    let key = made["key"].as_str().unwrap();
    assert!(
        key.starts_with("aws-kms://arn:aws:kms:eu-west-1:111122223333:key/mrk-"),
        "{key}"
    );
    let replica = bench.json(&["replicate", key, "us-west-2"]);
    let expected = key.replace("eu-west-1", "us-west-2");
    assert!(replica.to_string().contains(&expected), "{replica}");

    let state = || bench.json(&["describe", key])["primary"]["state"].clone();
    bench.json(&["disable", key]);
    assert_eq!(state(), json!("disabled"));
    bench.json(&["enable", key]);
    assert_eq!(state(), json!("enabled"));
    let refused = bench.run(&["destroy", key]);
    assert_eq!(refused.status.code(), Some(64), "nobody was asked");
    assert_eq!(state(), json!("enabled"));
    bench.json(&["destroy", key, "--yes"]);
    assert_eq!(state(), json!("destroy-scheduled"));
}
