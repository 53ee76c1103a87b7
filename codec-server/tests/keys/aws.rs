use std::fs;

use aws_kms_script::{Account, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Program, outcomes};

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

const STEPS: [&str; 6] = ["key", "rotation", "grant", "grant", "grant", "env"];

/// The program and one region of AWS.
struct Bench {
    program: Program,
    _server: Server,
    _runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Account::new().serve("eu-west-1")).unwrap();
        let variables = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", server.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "an-administrators-secret"),
        ];
        Self {
            program: Program::new(
                variables
                    .map(|(name, value)| (name, value.to_owned()))
                    .into(),
            ),
            _server: server,
            _runtime: runtime,
        }
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.program.json(arguments)
    }
}

#[test]
fn setup_makes_everything_once() {
    let bench = Bench::new();
    let env = bench.program.folder().join(".env");
    fs::write(&env, "# mine\nKMS_PROVIDER=gcp\nTOKEN=a\n").unwrap();
    let first = bench.json(&SETUP);
    assert_eq!(
        outcomes(&first),
        STEPS.map(|step| (step, "changed")),
        "{first}"
    );
    let written = "# mine\nKMS_PROVIDER=aws\nTOKEN=a\nAWS_REGION=eu-west-1\n\
                   KMS_KEY_ALIAS=alias/payload-encryption\n";
    assert_eq!(fs::read_to_string(&env).unwrap(), written);

    let second = bench.json(&SETUP);
    assert_eq!(
        outcomes(&second),
        STEPS.map(|step| (step, "unchanged")),
        "{second}"
    );
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
    bench.json(&["disable", key, "--yes"]);
    assert_eq!(state(), json!("disabled"));
    bench.json(&["enable", key]);
    assert_eq!(state(), json!("enabled"));
    let refused = bench.program.run(&["destroy", key]);
    assert_eq!(refused.status.code(), Some(64), "nobody was asked");
    assert_eq!(state(), json!("enabled"));
    bench.json(&["destroy", key, "--yes"]);
    assert_eq!(state(), json!("destroy-scheduled"));
}
