//! Keys in a local keyring and at the emulator of Cloud KMS.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use fake_cloud_kms::{Emulator, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::keys::program::{Program, outcomes};

const GCP_KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";
const API: &str = "serviceAccount:api@p.iam.gserviceaccount.com";
const WORKER: &str = "serviceAccount:worker@p.iam.gserviceaccount.com";

/// The program with a keyring and an emulator of Cloud KMS.
struct Bench {
    program: Program,
    emulator: Emulator,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        Self::with_variables(&[])
    }

    fn with_variables(further: &[(&'static str, &str)]) -> Self {
        let runtime = Runtime::new().unwrap();
        let emulator = runtime.block_on(Emulator::start(Options::default()));
        let emulator = emulator.unwrap();
        let mut variables = vec![
            // Relative to the program's folder.
            ("TEMPORAL_CODEC_KEYRING", "keys".to_owned()),
            ("GCP_KMS_ENDPOINT", emulator.url()),
        ];
        let further = further.iter().copied();
        variables.extend(further.map(|(name, value)| (name, value.to_owned())));
        let program = Program::new(variables);
        Self {
            program,
            emulator,
            runtime,
        }
    }

    #[track_caller]
    fn text(&self, arguments: &[&str]) -> String {
        self.program.text(arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.program.json(arguments)
    }

    /// The exit status, and what was said on stderr; nothing may be on stdout.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.program.run(arguments);
        assert_eq!(output.stdout, b"", "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), error)
    }

    fn faults(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.emulator.set_faults(faults);
    }

    fn states(&self, key: &str) -> Vec<String> {
        let answer = self.json(&["versions", key]);
        let versions = answer["versions"].as_array().unwrap();
        let state = |version: &Value| version["state"].as_str().unwrap().to_owned();
        versions.iter().map(state).collect()
    }

    /// The keyring, as the program names it to a person who may be in another folder.
    fn keyring(&self) -> String {
        let folder = self.program.folder().canonicalize().unwrap();
        folder.join("keys").display().to_string()
    }

    fn env_file(&self) -> std::path::PathBuf {
        self.program.folder().join(".env")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The emulator's task ends in its runtime.
        let _runtime = self.runtime.enter();
    }
}

#[test]
fn a_local_key_from_its_making_to_its_end() {
    let bench = Bench::new();
    let made = bench.json(&["create", "local://a"]);
    assert_eq!(
        (&made["key"], &made["purpose"], &made["protection"]),
        (&json!("local://a"), &json!("encrypt"), &json!("file"))
    );
    let first = made["primary"]["version"].as_str().unwrap();
    let rotated = bench.json(&["rotate", "local://a"]);
    assert_ne!(rotated["primary"]["version"], made["primary"]["version"]);
    assert_eq!(bench.states("local://a"), ["enabled", "enabled"]);

    let version = ["local://a", "--version", first];
    bench.text(&[&["disable", "--yes"], &version[..]].concat());
    assert_eq!(bench.states("local://a"), ["enabled", "disabled"]);
    bench.text(&[&["enable"], &version[..]].concat());
    assert_eq!(bench.states("local://a"), ["enabled", "enabled"]);
    let gone = bench.json(&[&["destroy", "--yes"], &version[..]].concat());
    assert_eq!(
        (&gone["state"], &gone["destroyed_at"]),
        (&json!("destroyed"), &Value::Null)
    );

    bench.json(&["create", "local://b"]);
    let listed = bench.json(&["list", "local://any"]);
    assert_eq!(listed["keys"][0]["key"], "local://a");
    assert_eq!(listed["keys"][1]["key"], "local://b");
    for place in [&["list"][..], &["list", "local://"]] {
        assert_eq!(bench.json(place), listed, "{place:?}");
    }
    let table = bench.text(&["list", "local://any"]);
    assert!(
        table.starts_with("KEY ") && table.contains("local://b"),
        "{table}"
    );
    let described = bench.text(&["describe", "local://a"]);
    assert!(
        described.contains("not known: its age is unknown"),
        "{described}"
    );
    assert_eq!(
        bench.json(&["describe", "local://a"])["should_rotate"],
        false
    );
}

#[test]
fn signing_keys_show_their_public_half() {
    let bench = Bench::new();
    for (purpose, algorithm) in [
        ("sign-p256", "ECDSA_P256_SHA256"),
        ("sign-ed25519", "ED25519"),
    ] {
        let key = format!("local://{purpose}");
        bench.json(&["create", &key, "--purpose", purpose]);
        let described = bench.json(&["describe", &key]);
        assert_eq!(described["should_rotate"], false);
        let answer = bench.json(&["public-key", &key]);
        assert_eq!(answer["algorithm"], algorithm);
        assert_eq!(answer["version"], described["primary"]["version"]);
        let pem = bench.text(&["public-key", &key]);
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
        assert_eq!(answer["pem"].as_str().unwrap().trim(), pem.trim());
    }
    let made = bench.json(&["create", GCP_KEY, "--purpose", "sign-p256"]);
    assert_eq!(made["primary"]["version"], "1");
    let answer = bench.json(&["public-key", GCP_KEY, "--version", "1"]);
    assert_eq!(
        (&answer["algorithm"], &answer["version"]),
        (&json!("ECDSA_P256_SHA256"), &json!("1"))
    );
    let rotated = bench.json(&["rotate", GCP_KEY]);
    assert_eq!(rotated["primary"]["version"], "2");
    let newest = bench.json(&["public-key", GCP_KEY]);
    assert_eq!(newest["version"], "2");
    assert_ne!(newest["pem"], answer["pem"]);
    // A version that is disabled does not sign.
    bench.json(&["disable", GCP_KEY, "--version", "2", "--yes"]);
    let described = bench.json(&["describe", GCP_KEY]);
    assert_eq!(described["primary"]["version"], "1");
}

#[test]
fn a_key_of_cloud_kms_from_its_making_to_its_end() {
    let bench = Bench::new();
    let made = bench.json(&[
        "create",
        GCP_KEY,
        "--protection",
        "hsm",
        "--label",
        "team=payments",
    ]);
    assert_eq!(made["key"], GCP_KEY);
    assert_eq!(made["protection"], "hsm");
    assert_eq!(made["rotation_period_seconds"], 90 * 24 * 3600);
    assert_eq!(made["labels"], json!({ "team": "payments" }));
    assert!(made["next_rotation"].as_str().unwrap().ends_with('Z'));

    let described = bench.json(&["describe", GCP_KEY]);
    assert_eq!(
        (&described["should_rotate"], &described["overaged"]),
        (&json!(false), &json!([]))
    );
    let rotated = bench.json(&["rotate", GCP_KEY]);
    assert_eq!(rotated["primary"]["version"], "2");
    let scheduled = bench.json(&["rotate", GCP_KEY, "--rotation-period", "30d"]);
    assert_eq!(scheduled["rotation_period_seconds"], 30 * 24 * 3600);
    assert_eq!(scheduled["primary"]["version"], "2", "nothing is rotated");
    let never = bench.json(&["rotate", GCP_KEY, "--rotation-period", "never"]);
    assert_eq!(never["rotation_period_seconds"], Value::Null);

    let version = [GCP_KEY, "--version", "1"];
    bench.text(&[&["disable", "--yes"], &version[..]].concat());
    assert_eq!(bench.states(GCP_KEY), ["enabled", "disabled"]);
    bench.text(&[&["enable"], &version[..]].concat());
    let scheduled = bench.json(&[&["destroy", "--yes"], &version[..]].concat());
    assert_eq!(scheduled["state"], "destroy-scheduled");
    assert!(scheduled["destroyed_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(bench.states(GCP_KEY), ["enabled", "destroy-scheduled"]);
    bench.text(&[&["enable"], &version[..]].concat());
    assert_eq!(bench.states(GCP_KEY), ["enabled", "enabled"]);
}

#[test]
fn age_is_a_matter_of_the_policy() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY, "--rotation-period", "never"]);
    let old = |arguments: &[&str]| {
        let described = bench.json(&[&["describe", GCP_KEY], arguments].concat());
        (
            described["should_rotate"].clone(),
            described["overaged"].clone(),
        )
    };
    assert_eq!(old(&[]), (json!(false), json!([])));
    // A key that is a nanosecond old is old by this policy.
    assert_eq!(
        old(&["--rotation-period", "1ns", "--max-age", "1ns"]),
        (json!(true), json!(["1"]))
    );
    // The emulator's clock runs ahead, so that its new versions are not old by any policy.
    bench.emulator.advance(Duration::from_hours(24));
    bench.json(&["rotate", GCP_KEY]);
    assert_eq!(
        old(&["--rotation-period", "1ns", "--max-age", "1ns"]),
        (json!(false), json!(["1"]))
    );
}

#[test]
fn a_grant_is_made_once() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    let decrypter = ["grant", GCP_KEY, "--member", WORKER, "--role", "decrypter"];
    for words in ["may now decrypt with", "already"] {
        let text = bench.text(&decrypter);
        assert!(text.starts_with(WORKER) && text.contains(words), "{text}");
    }
    for role in ["encrypter", "decrypter", "signer", "verifier"] {
        let arguments = ["grant", GCP_KEY, "--member", API, "--role", role];
        let first = bench.json(&arguments);
        assert_eq!(
            (&first["role"], &first["changed"]),
            (&json!(role), &json!(true))
        );
        assert_eq!(bench.json(&arguments)["changed"], false);
    }
}

#[test]
fn a_revoked_role_is_gone_and_the_list_shows_who_has_which() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    let empty = bench.text(&["grants", GCP_KEY]);
    assert!(empty.contains("nobody has a permission"), "{empty}");
    assert!(empty.contains("the project"), "{empty}");
    let with = |command, member, role| {
        bench.json(&[command, GCP_KEY, "--member", member, "--role", role])["changed"].clone()
    };
    for role in ["encrypter", "decrypter", "signer", "verifier"] {
        assert_eq!(with("grant", WORKER, role), true);
    }
    assert_eq!(with("grant", API, "encrypter"), true);

    let has = |member: &str| -> Vec<String> {
        let listed = bench.json(&["grants", GCP_KEY]);
        let grants = listed["grants"].as_array().unwrap().iter();
        let mut roles: Vec<_> = grants
            .filter(|grant| grant["member"] == member)
            .map(|grant| {
                grant["permits"]
                    .as_str()
                    .unwrap()
                    .replace("roles/cloudkms.", "")
            })
            .collect();
        roles.sort();
        roles
    };
    assert_eq!(
        has(WORKER),
        [
            "cryptoKeyDecrypter",
            "cryptoKeyEncrypter",
            "publicKeyViewer",
            "signer",
            "viewer"
        ]
    );
    assert_eq!(with("revoke", WORKER, "encrypter"), true);
    assert_eq!(with("revoke", WORKER, "encrypter"), false);
    assert_eq!(with("revoke", WORKER, "signer"), true);
    assert_eq!(
        has(WORKER),
        ["cryptoKeyDecrypter", "publicKeyViewer", "viewer"],
        "a verifier still looks for versions"
    );
    assert_eq!(with("revoke", WORKER, "verifier"), true);
    assert_eq!(has(WORKER), ["cryptoKeyDecrypter"]);
    assert_eq!(has(API), ["cryptoKeyEncrypter"]);
    let table = bench.text(&["grants", GCP_KEY]);
    assert!(
        table.starts_with("MEMBER ") && table.contains("IAM policy"),
        "{table}"
    );
}

#[test]
fn an_older_version_becomes_the_primary_one_again() {
    let bench = Bench::new();
    for key in ["local://a", GCP_KEY] {
        let first = bench.json(&["create", key])["primary"]["version"].clone();
        let first = first.as_str().unwrap();
        let second = bench.json(&["rotate", key])["primary"]["version"].clone();
        let changed = bench.json(&["set-primary", key, "--version", first]);
        assert_eq!(changed["primary"]["version"], first);
        assert_eq!(bench.states(key), ["enabled", "enabled"]);
        let second = second.as_str().unwrap();
        bench.json(&["disable", key, "--version", second, "--yes"]);
        let (code, error) = bench.refused(&["set-primary", key, "--version", second]);
        assert_eq!(code, 78, "{error}");
        let (code, error) = bench.refused(&["set-primary", key, "--version", "77"]);
        assert_eq!(code, 78, "{error}");
    }
}

#[test]
fn a_timer_rotates_what_is_due() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    let due = |time: &str| bench.json(&["rotate", GCP_KEY, &format!("--if-due={time}")]);
    let young = bench.json(&["rotate", GCP_KEY, "--if-due"]);
    assert_eq!(
        (&young["rotated"], &young["primary"]["version"]),
        (&json!(false), &json!("1"))
    );
    let rotated = due("1ns");
    assert_eq!(
        (&rotated["rotated"], &rotated["primary"]["version"]),
        (&json!(true), &json!("2"))
    );

    bench.json(&["create", "local://a"]);
    let (code, error) = bench.refused(&["rotate", "local://a", "--if-due"]);
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("nothing tells the age"), "{error}");
    let signing = "local://s";
    bench.json(&["create", signing, "--purpose", "sign-p256"]);
    assert_eq!(
        bench.json(&["rotate", signing, "--if-due"])["rotated"],
        false
    );
}

#[test]
fn a_version_outlives_its_destruction_as_long_as_its_key_says() {
    let bench = Bench::new();
    let made = bench.json(&["create", GCP_KEY, "--destroy-delay", "100d"]);
    assert_eq!(made["destroy_delay_seconds"], 100 * 24 * 3600);
    for (key, delay, words) in [
        (
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/l",
            "121d",
            "1 to 120 days",
        ),
        (
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/l",
            "1h",
            "1 to 120 days",
        ),
        ("local://a", "7d", "destroyed at once"),
    ] {
        let (code, error) = bench.refused(&["create", key, "--destroy-delay", delay]);
        assert_eq!(code, 78, "{error}");
        assert!(error.contains(words), "{error}");
    }
    let setup = [&SETUP[..], &["--destroy-delay", "60d"]].concat();
    bench.json(&setup);
    assert_eq!(bench.json(&setup)["changed"], false);
    let (code, _, error) = bench
        .program
        .failed(&[&SETUP[..], &["--destroy-delay", "61d"]].concat());
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("another destroy delay"), "{error}");
}

#[test]
fn setup_prints_commands_of_other_tools_and_calls_nothing() {
    let bench = Bench::new();
    let print =
        |tool| bench.text(&[&SETUP[..], &["--print", tool, "--label", "team=payments"]].concat());
    let script = print("gcloud");
    for line in [
        "gcloud services enable cloudkms.googleapis.com \\\n  --project=p\n",
        "gcloud kms keyrings create claude-code \\\n  --location=global \\\n  --project=p\n",
        "gcloud kms keys create payload-encryption \\\n  --keyring=claude-code",
        "--rotation-period=7776000s",
        "--labels=team=payments",
        "--role=roles/cloudkms.cryptoKeyDecrypter",
        "--member=serviceAccount:api@p.iam.gserviceaccount.com",
    ] {
        assert!(script.contains(line), "{line}: {script}");
    }
    assert_eq!(script.matches("add-iam-policy-binding").count(), 3);
    let terraform = print("terraform");
    for line in [
        "resource \"google_kms_crypto_key\" \"codec\"",
        "rotation_period            = \"7776000s\"",
        "prevent_destroy = true",
        "member        = \"serviceAccount:worker@p.iam.gserviceaccount.com\"",
    ] {
        assert!(terraform.contains(line), "{line}: {terraform}");
    }
    let (code, error) = bench.refused(&[&SETUP[..], &["--print", "aws"]].concat());
    assert_eq!(code, 64, "{error}");
    assert!(error.contains("gcloud or terraform"), "{error}");
    let (code, error) = bench.refused(&[&SETUP[..], &["--replica-region", "us-west-2"]].concat());
    assert_eq!(code, 64, "{error}");
    assert!(bench.emulator.calls().is_empty());
    assert!(!bench.env_file().exists());
}

#[test]
fn destruction_needs_a_word_of_consent() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    for command in ["disable", "destroy"] {
        let (code, error) = bench.refused(&[command, GCP_KEY, "--version", "1"]);
        assert_eq!(code, 64, "{error}");
        assert!(error.contains("add --yes"), "{error}");
    }
    assert_eq!(bench.states(GCP_KEY), ["enabled"]);
}

#[test]
fn the_version_that_encrypts_is_protected_from_destruction() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    let destroy = ["destroy", GCP_KEY, "--version", "1", "--yes"];
    let (code, error) = bench.refused(&destroy);
    assert_eq!(code, 64, "{error}");
    assert!(error.contains("rotate the key first"), "{error}");
    for alias in ["01", "+1"] {
        let (code, error) = bench.refused(&["destroy", GCP_KEY, "--version", alias, "--yes"]);
        assert_eq!(code, 78, "{error}");
        assert!(error.contains("not a number"), "{error}");
    }
    assert_eq!(bench.states(GCP_KEY), ["enabled"]);
    bench.json(&[&destroy[..], &["--primary"]].concat());
    assert_eq!(bench.states(GCP_KEY), ["destroy-scheduled"]);
    let version = ["--version", "1", "--yes"];
    for command in [
        [&["destroy", GCP_KEY, "--primary"][..], &version].concat(),
        [&["disable", GCP_KEY][..], &version].concat(),
    ] {
        let (_, error) = bench.refused(&command);
        let expected = format!("version 1 of {GCP_KEY} will be destroyed; to keep it, enable it");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn the_primary_version_of_a_local_key_is_rotated_away_first() {
    let bench = Bench::new();
    let made = bench.json(&["create", "local://a"]);
    let version = made["primary"]["version"].as_str().unwrap();
    let (code, error) = bench.refused(&["destroy", "local://a", "--version", version, "--yes"]);
    assert_eq!(code, 64, "{error}");
    let remedy = "rotate the key first: codec-server keys rotate local://a --keyring";
    let remedy = format!("{remedy} {}", bench.keyring());
    assert!(error.contains(&remedy), "{error}");
    assert!(!error.contains("--primary"), "{error}");
}

#[test]
fn a_missing_local_key_is_not_to_be_created_but_looked_for() {
    let bench = Bench::new();
    bench.json(&["create", "local://a"]);
    let keyring = bench.keyring();
    let cases: [(&str, &[&str]); 8] = [
        ("describe", &[]),
        ("versions", &[]),
        ("rotate", &[]),
        ("public-key", &[]),
        ("enable", &["--version", "1"]),
        ("set-primary", &["--version", "1"]),
        ("disable", &["--version", "1", "--yes"]),
        ("destroy", &["--version", "1", "--yes"]),
    ];
    for (command, further) in cases {
        let (code, error) = bench.refused(&[&[command, "local://none"], further].concat());
        assert_eq!(code, 78, "{command}: {error}");
        let expected = format!(
            "no key local://none in {keyring}; correct the name, or list the keys: codec-server keys list local:// \
             --keyring {keyring}"
        );
        assert!(error.contains(&expected), "{command}: {error}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let bench = Bench::new();
    let cases: [(u8, &[&str], &str); 15] = [
        (78, &["describe", "local://none"], "; correct the name"),
        (78, &["describe", GCP_KEY], "key not found"),
        (64, &["describe", "none"], "local://"),
        (64, &["list", "none"], "local://"),
        (64, &["create", "local://a", "--label", "team"], "KEY=VALUE"),
        (
            64,
            &["create", "local://a", "--rotation-period", "90"],
            "expected a time with its unit",
        ),
        (78, &["replicate", GCP_KEY, "europe-west1"], "no replicas"),
        (64, &["setup"], "--project"),
        (
            64,
            &["setup", "--project", "p", "--namespace", "prod"],
            "use a key for each namespace",
        ),
        (
            64,
            &["grant", GCP_KEY, "--member", "bob", "--role", "encrypter"],
            "user:EMAIL",
        ),
        (
            64,
            &["grant", GCP_KEY, "--member", "allUsers", "--role", "signer"],
            "would let everybody use the key",
        ),
        (
            64,
            &["destroy", GCP_KEY, "--version", "1", "--window", "7d"],
            "destroyScheduledDuration",
        ),
        (
            64,
            &["destroy", "local://a", "--version", "1", "--window", "7d"],
            "destroyed at once",
        ),
        (
            69,
            &["describe", GCP_KEY, "--gcp-endpoint", "http://127.0.0.1:1"],
            "no connection",
        ),
        (
            78,
            &["describe", GCP_KEY, "--gcp-endpoint", "http://10.0.0.1:80"],
            "emulator on this machine",
        ),
    ];
    for (status, arguments, words) in cases {
        let (code, error) = bench.refused(arguments);
        assert_eq!(code, i32::from(status), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_denied_administrator_exits_with_77() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    bench.faults(&["deny"]);
    for arguments in [
        &["describe", GCP_KEY][..],
        &["list", GCP_KEY],
        &["versions", GCP_KEY],
        &["rotate", GCP_KEY],
        &["create", GCP_KEY],
        &["disable", GCP_KEY, "--version", "1", "--yes"],
        &["enable", GCP_KEY, "--version", "1"],
        &["destroy", GCP_KEY, "--version", "1", "--yes"],
        &["grant", GCP_KEY, "--member", API, "--role", "encrypter"],
        &["public-key", GCP_KEY],
    ] {
        let (code, error) = bench.refused(arguments);
        assert_eq!(code, 77, "{arguments:?}: {error}");
    }
}

#[test]
fn a_key_that_exists_is_not_created_again() {
    let bench = Bench::new();
    for key in ["local://a", GCP_KEY] {
        bench.json(&["create", key]);
        let (code, error) = bench.refused(&["create", key]);
        assert_eq!(code, 78, "{error}");
        assert!(error.contains(&format!("{key} exists already")), "{error}");
    }
}

#[test]
fn the_place_of_keys_is_enough_to_list_them() {
    let bench = Bench::new();
    bench.json(&["create", GCP_KEY]);
    let ring = GCP_KEY.split("/cryptoKeys").next().unwrap();
    assert_eq!(bench.json(&["list", ring])["keys"][0]["key"], GCP_KEY);
}

#[test]
fn variables_for_keys_of_aws_are_refused_for_other_keys() {
    let multi_region = ("KMS_ENABLE_MULTI_REGION", "true");
    let hsm = ("KMS_ENABLE_CLOUDHSM", "true");
    for variables in [
        &[multi_region][..],
        &[hsm, ("KMS_CUSTOM_KEY_STORE_ID", "cks-1")],
    ] {
        let bench = Bench::with_variables(variables);
        let name = variables[0].0;
        for arguments in [&["create", "local://a"][..], &["create", GCP_KEY], &SETUP] {
            let (code, error) = bench.refused(arguments);
            assert_eq!(code, 78, "{arguments:?}: {error}");
            assert!(error.contains(name), "{error}");
        }
        assert!(bench.emulator.calls().is_empty());
    }
}

const SETUP: [&str; 7] = [
    "setup",
    "--project",
    "p",
    "--api-member",
    "api@p.iam.gserviceaccount.com",
    "--worker-member",
    WORKER,
];

#[test]
fn setup_makes_everything_once() {
    let bench = Bench::new();
    let before = "# mine\nAPI_KEY='a b' # secret\nexport KMS_LOCATION=europe\n\nLAST=1";
    fs::write(bench.env_file(), before).unwrap();
    fs::set_permissions(bench.env_file(), fs::Permissions::from_mode(0o640)).unwrap();

    let first = bench.json(&SETUP);
    let steps = ["key", "rotation", "grant", "grant", "grant", "env"];
    assert_eq!(
        outcomes(&first),
        steps.map(|step| (step, "changed")),
        "{first}"
    );
    // The location comes from the file: a second run means the same key.
    let key =
        "gcp-kms://projects/p/locations/europe/keyRings/claude-code/cryptoKeys/payload-encryption";
    assert_eq!(
        (&first["key"], &first["changed"]),
        (&json!(key), &json!(true))
    );
    let env = fs::read_to_string(bench.env_file()).unwrap();
    assert_eq!(
        env,
        "# mine\nAPI_KEY='a b' # secret\nexport KMS_LOCATION=europe\n\nLAST=1\n\
         KMS_KEY_RING=claude-code\nKMS_KEY_NAME=payload-encryption\nPROJECT_ID=p\nKMS_PROVIDER=gcp\n"
    );
    assert_eq!(mode(&bench.env_file()), 0o640);
    let described = bench.json(&["describe", key]);
    assert_eq!(described["rotation_period_seconds"], 90 * 24 * 3600);
    for (member, role) in [
        (API, "encrypter"),
        (WORKER, "encrypter"),
        (WORKER, "decrypter"),
    ] {
        let again = bench.json(&["grant", key, "--member", member, "--role", role]);
        assert_eq!(again["changed"], false, "{member}");
    }

    let second = bench.json(&SETUP);
    assert_eq!(outcomes(&second), steps.map(|step| (step, "unchanged")));
    assert_eq!(second["changed"], false);
    assert_eq!(fs::read_to_string(bench.env_file()).unwrap(), env);
    assert!(bench.text(&SETUP).contains("Nothing had to be changed."));

    let slower = bench.json(&[&SETUP[..], &["--rotation-period", "180d"]].concat());
    let changed: Vec<_> = outcomes(&slower)
        .into_iter()
        .filter(|(_, outcome)| *outcome == "changed")
        .collect();
    assert_eq!(changed, [("rotation", "changed")]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let bench = Bench::new();
    let dry = [&SETUP[..], &["--dry-run"]].concat();
    let plan = bench.json(&dry);
    assert_eq!(
        outcomes(&plan),
        [
            ("key", "planned"),
            ("rotation", "planned"),
            ("grant", "planned-if-missing"),
            ("grant", "planned-if-missing"),
            ("grant", "planned-if-missing"),
            ("env", "planned"),
        ]
    );
    assert_eq!(
        (&plan["dry_run"], &plan["changed"]),
        (&json!(true), &json!(false))
    );
    assert!(!bench.env_file().exists());
    let (code, _) = bench.refused(&["describe", plan["key"].as_str().unwrap()]);
    assert_eq!(code, 78, "the key was not created");

    bench.json(&SETUP);
    assert_eq!(mode(&bench.env_file()), 0o600);
    let done = bench.json(&dry);
    assert_eq!(outcomes(&done)[0], ("key", "unchanged"));
    assert_eq!(outcomes(&done)[5], ("env", "unchanged"));
}

#[test]
fn setup_refuses_a_key_that_cannot_be_made_right() {
    let bench = Bench::new();
    bench.json(&SETUP);
    let env = fs::read(bench.env_file()).unwrap();
    let other = [&SETUP[..], &["--protection", "hsm"]].concat();
    let (code, report, error) = bench.program.failed(&other);
    assert_eq!(code, 78);
    assert!(error.contains("another protection"), "{error}");
    let outcomes: Vec<_> = outcomes(&report).into_iter().map(|step| step.1).collect();
    assert_eq!(
        outcomes,
        [
            "failed", "skipped", "skipped", "skipped", "skipped", "skipped"
        ]
    );
    assert_eq!(fs::read(bench.env_file()).unwrap(), env);
}

#[test]
fn setup_refuses_a_key_that_cannot_encrypt() {
    let bench = Bench::new();
    let done = bench.json(&SETUP);
    let key = done["key"].as_str().unwrap().to_owned();
    bench.json(&["disable", &key, "--version", "1", "--yes"]);
    let (code, report, error) = bench.program.failed(&SETUP);
    assert_eq!(code, 78, "{error}");
    assert_eq!(outcomes(&report)[0], ("key", "failed"));
    assert!(error.contains("codec-server keys enable"), "{error}");
    bench.json(&["enable", &key, "--version", "1"]);
    assert_eq!(outcomes(&bench.json(&SETUP))[0], ("key", "unchanged"));
}

#[test]
fn setup_checks_members_before_it_creates_a_key() {
    let bench = Bench::new();
    for (flag, member) in [
        ("--api-member", "bob"),
        ("--worker-member", "arn:aws:iam::111122223333:role/worker"),
        ("--worker-member", "allAuthenticatedUsers"),
    ] {
        let (code, error) = bench.refused(&["setup", "--project", "p", flag, member]);
        assert_eq!(code, 64, "{error}");
        assert!(error.contains(flag), "{error}");
    }
    assert!(bench.emulator.calls().is_empty());
    assert!(!bench.env_file().exists());
}

#[test]
fn setup_reports_what_is_done_when_a_step_fails_and_can_be_run_again() {
    let bench = Bench::new();
    bench.faults(&["deny*1@SetIamPolicy"]);
    let (code, report, error) = bench.program.failed(&SETUP);
    assert_eq!(code, 77, "{error}");
    assert_eq!(
        outcomes(&report),
        [
            ("key", "changed"),
            ("rotation", "changed"),
            ("grant", "failed"),
            ("grant", "changed"),
            ("grant", "changed"),
            ("env", "changed"),
        ]
    );
    assert_eq!(
        (&report["failed"], &report["changed"]),
        (&json!(true), &json!(true))
    );
    for words in [
        &format!("cannot let {API} encrypt: "),
        "permission denied",
        "run the same command again",
    ] {
        assert!(error.contains(words), "{error}");
    }
    assert!(bench.env_file().exists());

    let again = bench.json(&SETUP);
    assert_eq!(outcomes(&again)[2], ("grant", "changed"));
    assert_eq!(again["failed"], false);
    assert_eq!(bench.json(&SETUP)["changed"], false);
}

#[test]
fn setup_without_a_key_leaves_the_rest_alone() {
    let bench = Bench::new();
    bench.faults(&["deny@CreateCryptoKey"]);
    let output = bench.program.run(&SETUP);
    assert_eq!(output.status.code(), Some(77));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("FAILED: create key gcp-kms://") && text.contains("(and its key ring)"),
        "{text}"
    );
    assert!(
        text.contains("not done: set the key's variables in .env"),
        "{text}"
    );
    assert!(text.ends_with("The setup is not complete.\n"), "{text}");
    assert!(!bench.env_file().exists());
}

#[test]
fn setup_says_which_permissions_it_did_not_grant() {
    let bench = Bench::new();
    let output = bench.program.run(&["setup", "--project", "p"]);
    assert_eq!(output.status.code(), Some(0));
    let error = String::from_utf8(output.stderr).unwrap();
    for flag in ["--api-member", "--worker-member"] {
        let words = format!("no {flag} given: no permission granted");
        assert!(error.contains(&words), "{error}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let bench = Bench::new();
    for command in [
        "create",
        "list",
        "describe",
        "rotate",
        "versions",
        "disable",
        "enable",
        "destroy",
        "replicate",
        "grant",
        "public-key",
        "setup",
    ] {
        let help = bench.text(&[command, "--help"]);
        assert!(
            help.contains("Example") && help.contains(&format!("codec-server keys {command} ")),
            "{help}"
        );
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
