//! Keys at a scripted AWS KMS.

use std::fs;

use fake_aws_kms::{Account, Fault, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::keys::program::{Program, outcomes};

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
    server: Server,
    _runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        Self::with_variables(&[])
    }

    fn with_variables(further: &[(&'static str, &'static str)]) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Account::new().serve_everywhere()).unwrap();
        let variables = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", server.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "an-administrators-secret"),
        ];
        let variables = variables.iter().chain(further);
        Self {
            program: Program::new(
                variables
                    .map(|(name, value)| (*name, (*value).to_owned()))
                    .collect(),
            ),
            server,
            _runtime: runtime,
        }
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.program.json(arguments)
    }

    /// What was asked of `operation`, call by call.
    fn asked(&self, operation: &str) -> Vec<Value> {
        let calls = self.server.calls().into_iter();
        calls
            .filter(|call| call.operation == operation)
            .map(|call| call.input)
            .collect()
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
    bench.json(&["destroy", key, "--yes", "--window", "7d"]);
    assert_eq!(state(), json!("destroy-scheduled"));
    let asked = bench.asked("ScheduleKeyDeletion");
    assert_eq!(asked[0]["PendingWindowInDays"], 7);
}

#[test]
fn a_grant_can_be_for_one_namespace() {
    let bench = Bench::new();
    bench.json(&["create", ALIAS]);
    let arguments = |namespace| {
        [
            "grant",
            ALIAS,
            "--member",
            WORKER,
            "--role",
            "decrypter",
            "--namespace",
            namespace,
        ]
    };
    assert_eq!(bench.json(&arguments("prod"))["changed"], true);
    assert_eq!(bench.json(&arguments("prod"))["changed"], false);
    assert_eq!(bench.json(&arguments("test"))["changed"], true);
    let asked = bench.asked("CreateGrant");
    assert_eq!(
        asked[0]["Constraints"],
        json!({ "EncryptionContextSubset": { "namespace": "prod" } })
    );

    let setup = bench.json(&[&SETUP[..], &["--namespace", "prod"]].concat());
    let what = setup["steps"][2]["what"].as_str().unwrap();
    assert!(
        what.ends_with("encrypt payloads of namespace prod"),
        "{what}"
    );
}

#[test]
fn a_revoked_grant_is_gone_and_the_list_shows_who_has_which() {
    let bench = Bench::new();
    bench.json(&["create", ALIAS]);
    let with = |command, role, further: &[&str]| {
        let arguments = [command, ALIAS, "--member", WORKER, "--role", role];
        bench.json(&[&arguments[..], further].concat())["changed"].clone()
    };
    let prod = ["--namespace", "prod"];
    for namespace in ["prod", "test"] {
        assert_eq!(
            with("grant", "decrypter", &["--namespace", namespace]),
            true
        );
    }
    assert_eq!(with("grant", "encrypter", &[]), true);
    let listed = || bench.json(&["grants", ALIAS])["grants"].clone();
    let grants = listed();
    assert_eq!(grants.as_array().unwrap().len(), 4);
    assert_eq!(
        (
            &grants[0]["member"],
            &grants[0]["role"],
            &grants[0]["context"]
        ),
        (
            &json!(WORKER),
            &json!("decrypter"),
            &json!({ "namespace": "prod" })
        )
    );
    assert_eq!(
        (&grants[3]["permits"], &grants[3]["source"]),
        (&json!("kms:*"), &json!("key policy"))
    );
    let table = bench.program.text(&["grants", ALIAS]);
    assert!(
        table.contains("namespace=prod") && table.contains("IAM policies"),
        "{table}"
    );

    assert_eq!(with("revoke", "decrypter", &prod), true);
    assert_eq!(with("revoke", "decrypter", &prod), false);
    assert_eq!(listed().as_array().unwrap().len(), 3);
    assert_eq!(with("revoke", "decrypter", &[]), true, "every namespace");
    assert_eq!(with("revoke", "encrypter", &[]), true);
    assert_eq!(with("revoke", "encrypter", &[]), false);
    assert_eq!(listed().as_array().unwrap().len(), 1);
}

#[test]
fn a_wider_grant_is_told_and_left_alone() {
    let bench = Bench::new();
    let made = bench.json(&["create", ALIAS]);
    let key = made["key"]
        .as_str()
        .unwrap()
        .trim_start_matches("aws-kms://");
    bench
        .server
        .grant(key, WORKER, &["Decrypt", "ReEncryptFrom"]);
    let revoke = ["revoke", ALIAS, "--member", WORKER, "--role", "decrypter"];
    let output = bench.program.run(&revoke);
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("together with other operations"), "{error}");
}

#[test]
fn setup_makes_replicas_and_names_the_key_by_its_arn() {
    let bench = Bench::new();
    let setup = [
        &SETUP[..],
        &[
            "--replica-region",
            "us-west-2",
            "--replica-region",
            "eu-west-1",
        ],
    ];
    let dry = bench.json(&[&setup.concat()[..], &["--dry-run"]].concat());
    assert!(outcomes(&dry).contains(&("replica", "planned")), "{dry}");
    let first = bench.json(&setup.concat());
    let changed: Vec<_> = outcomes(&first);
    let steps = [
        "key", "rotation", "replica", "grant", "grant", "grant", "grant", "grant", "grant", "env",
    ];
    assert_eq!(
        changed,
        steps.map(|step| (step, "changed")),
        "one region is the key's own"
    );
    assert_eq!(bench.asked("CreateKey")[0]["MultiRegion"], true);
    assert_eq!(bench.asked("ReplicateKey").len(), 1);
    assert_eq!(
        bench.asked("CreateGrant").len(),
        6,
        "the replica has grants of its own"
    );

    let env = fs::read_to_string(bench.program.folder().join(".env")).unwrap();
    assert!(
        env.contains("KMS_KEY_ALIAS=arn:aws:kms:eu-west-1:111122223333:key/mrk-"),
        "{env}"
    );
    assert!(env.contains("KMS_REPLICA_REGIONS=us-west-2\n"), "{env}");
    let again = bench.json(&setup.concat());
    assert_eq!(outcomes(&again), steps.map(|step| (step, "unchanged")));
    let described = bench.json(&["describe", ALIAS]);
    let replica = described["replicas"][0].as_str().unwrap();
    assert!(
        replica.starts_with("aws-kms://arn:aws:kms:us-west-2:"),
        "{replica}"
    );
}

#[test]
fn a_replica_that_fails_is_told_and_the_rest_is_done() {
    let bench = Bench::with_variables(&[("KMS_REPLICA_REGIONS", "us-west-2")]);
    let denied = Fault::Error("AccessDeniedException");
    bench.server.fail("ReplicateKey", denied, 1);
    let (code, report, error) = bench.program.failed(&SETUP);
    assert_eq!(code, 77, "{error}");
    assert!(
        outcomes(&report).contains(&("replica", "failed")),
        "{report}"
    );
    assert_eq!(outcomes(&report).last(), Some(&("env", "changed")));
    let again = bench.json(&SETUP);
    assert!(
        outcomes(&again).contains(&("replica", "changed")),
        "{again}"
    );
}

#[test]
fn keys_are_made_in_the_named_key_store() {
    let bench = Bench::new();
    let store = ["--custom-key-store", "cks-1234567890abcdef0"];
    bench.json(&[&["create", ALIAS][..], &store].concat());
    let asked = &bench.asked("CreateKey")[0];
    assert_eq!(asked["CustomKeyStoreId"], "cks-1234567890abcdef0");
    assert!(
        bench.asked("EnableKeyRotation").is_empty(),
        "such keys do not rotate"
    );
    for (further, words) in [
        (&["--multi-region"][..], "no replicas"),
        (&["--purpose", "sign-p256"], "for encryption only"),
        (&["--rotation-period", "90d"], "does not rotate"),
    ] {
        let other = [&["create", "aws-kms://alias/other"][..], &store, further].concat();
        let output = bench.program.run(&other);
        assert_eq!(output.status.code(), Some(78), "{further:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(words), "{error}");
    }
    let wrong = bench
        .program
        .run(&["create", ALIAS, "--custom-key-store", "hsm"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert_eq!(bench.asked("CreateKey").len(), 1);
}

#[test]
fn setup_prints_commands_of_other_tools_and_calls_nothing() {
    let bench = Bench::new();
    let further = ["--namespace", "prod", "--replica-region", "us-west-2"];
    let print = |tool| {
        bench
            .program
            .text(&[&SETUP[..], &further, &["--print", tool]].concat())
    };
    let script = print("aws");
    for line in [
        "KEY=$(aws kms create-key \\\n  --region eu-west-1",
        "--multi-region",
        "--alias-name alias/payload-encryption \\\n  --target-key-id \"$KEY\"",
        "--rotation-period-in-days 90",
        "--operations GenerateDataKey Encrypt DescribeKey",
        "--constraints '{\"EncryptionContextSubset\":{\"namespace\":\"prod\"}}'",
        "--replica-region us-west-2",
    ] {
        assert!(script.contains(line), "{line}: {script}");
    }
    let terraform = print("terraform");
    for line in [
        "multi_region             = true",
        "prevent_destroy = true",
        "encryption_context_subset = {\n      \"namespace\" = \"prod\"",
        "resource \"aws_kms_replica_key\" \"codec_us_west_2\"",
    ] {
        assert!(terraform.contains(line), "{line}: {terraform}");
    }
    assert!(bench.server.calls().is_empty());
}

#[test]
fn setup_checks_members_before_it_creates_a_key() {
    let bench = Bench::new();
    for member in ["bob", "serviceAccount:a@p.iam.gserviceaccount.com"] {
        let setup = ["setup", "--provider", "aws", "--api-member", member];
        let output = bench.program.run(&setup);
        assert_eq!(output.status.code(), Some(64));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains("--api-member: expected an account id"),
            "{error}"
        );
    }
    assert!(bench.server.calls().is_empty());
}

#[test]
fn setup_reports_a_key_whose_rotation_could_not_be_set() {
    let bench = Bench::new();
    let denied = Fault::Error("AccessDeniedException");
    bench.server.fail("EnableKeyRotation", denied, 1);
    let (code, report, error) = bench.program.failed(&SETUP);
    assert_eq!(code, 77, "{error}");
    assert_eq!(
        outcomes(&report),
        [
            ("key", "changed"),
            ("rotation", "failed"),
            ("grant", "changed"),
            ("grant", "changed"),
            ("grant", "changed"),
            ("env", "changed"),
        ]
    );
    let again = bench.json(&SETUP);
    assert_eq!(outcomes(&again)[0], ("key", "unchanged"));
    assert_eq!(outcomes(&again)[1], ("rotation", "changed"));
}

#[test]
fn the_variables_for_keys_decide_how_they_are_created() {
    let bench = Bench::with_variables(&[("KMS_ENABLE_MULTI_REGION", "true")]);
    bench.json(&SETUP);
    assert_eq!(bench.asked("CreateKey")[0]["MultiRegion"], true);
    assert_eq!(bench.json(&["describe", ALIAS])["origin"], "service");
    assert_eq!(bench.json(&SETUP)["changed"], false);

    let bench = Bench::with_variables(&[
        ("KMS_ENABLE_CLOUDHSM", "true"),
        ("KMS_CUSTOM_KEY_STORE_ID", "cks-1234"),
    ]);
    let created = bench.json(&["create", ALIAS, "--rotation-period", "never"]);
    assert_eq!(created["origin"], "cloudhsm");
    assert_eq!(bench.json(&["describe", ALIAS])["origin"], "cloudhsm");
    let asked = &bench.asked("CreateKey")[0];
    assert_eq!(
        (&asked["Origin"], &asked["CustomKeyStoreId"]),
        (&json!("AWS_CLOUDHSM"), &json!("cks-1234"))
    );
}

#[test]
fn the_region_may_come_from_either_variable() {
    let bench = Bench::with_variables(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1")]);
    bench.json(&SETUP);
    let env = fs::read_to_string(bench.program.folder().join(".env")).unwrap();
    assert!(env.contains("AWS_REGION=eu-west-1\n"), "{env}");
}

#[test]
fn setup_refuses_a_key_of_one_region_where_replicas_are_wanted() {
    let bench = Bench::new();
    bench.json(&SETUP);
    let (code, _, error) = bench
        .program
        .failed(&[&SETUP[..], &["--multi-region"]].concat());
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("a key of one region"), "{error}");
}

#[test]
fn a_signing_key_shows_its_version_and_is_not_told_to_rotate() {
    let bench = Bench::new();
    bench.json(&["create", ALIAS, "--purpose", "sign-p256"]);
    let described = bench.json(&["describe", ALIAS, "--rotation-period", "1ns"]);
    assert_eq!(described["should_rotate"], false);
    let answer = bench.json(&["public-key", ALIAS]);
    assert_eq!(answer["version"], described["primary"]["version"]);
    let text = bench.program.text(&["describe", ALIAS]);
    assert!(text.contains("no: signatures stay valid"), "{text}");
}

#[test]
fn a_rotation_that_cannot_be_shown_is_not_told_as_a_failure() {
    let bench = Bench::new();
    let made = bench.json(&["create", ALIAS]);
    let key = made["key"].as_str().unwrap();
    // The caller may rotate the key and not look at it.
    let denied = Fault::Error("AccessDeniedException");
    bench.server.fail("DescribeKey", denied, 100);
    let output = bench.program.run(&["rotate", key, "--json"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.contains("do not repeat it"), "{error}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["key"], &answer["state"]),
        (&json!(key), &json!("rotated"))
    );
    assert_eq!(bench.asked("RotateKeyOnDemand").len(), 1);
}
