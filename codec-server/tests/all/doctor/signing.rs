//! Keys that sign: in a local keyring, at the emulator of Cloud KMS, and at a scripted AWS KMS.

use fake_aws_kms::{Account, Fault as AwsFault};
use serde_json::json;

use crate::doctor::bench::{Answer, Bench, GCP_KEY, said};

const SIGNING: [&str; 2] = ["--signing-key", GCP_KEY];

impl Bench {
    /// With a local signing key.
    fn local_signing_key(&self, name: &str, purpose: &str) {
        let key = format!("local://{name}");
        let create = ["create", &key, "--purpose", purpose];
        self.keys(&[&create[..], &["--keyring", "keys"]].concat());
    }

    /// With the signing key `orders` at Cloud KMS.
    fn with_signing_key() -> Self {
        let bench = Self::new();
        bench.keys(&["create", GCP_KEY, "--purpose", "sign-p256"]);
        bench
    }

    /// Of the signing key at Cloud KMS.
    #[track_caller]
    fn signing(&self) -> Answer {
        let url = self.emulator.url();
        self.doctor(&SIGNING, &[("GCP_KMS_ENDPOINT", &url)])
    }
}

#[test]
fn a_local_signing_key_is_found_healthy() {
    let bench = Bench::new();
    for (purpose, algorithm) in [
        ("sign-p256", "ECDSA_P256_SHA256"),
        ("sign-ed25519", "ED25519"),
    ] {
        bench.local_signing_key(purpose, purpose);
        let key = format!("local://{purpose}");
        let answer = bench.doctor(&["--signing-key", &key, "--keyring", "keys"], &[]);
        answer.healthy();
        let configuration = answer.one("configuration");
        assert_eq!(
            (&configuration["keys"], &configuration["signing_keys"]),
            (&json!(0), &json!(1))
        );
        let found = answer.one("key");
        said(found, &["in a file", "signs with", algorithm]);
        assert_eq!(found["algorithm"], algorithm);
        assert!(found["version"].is_string());
        for operation in ["sign", "public_key"] {
            assert_eq!(answer.permission(operation)["status"], "ok");
        }
        said(answer.one("round-trip"), &["verifies", "refused for other"]);
        let latency = answer.all("latency");
        let operations: Vec<_> = latency.iter().map(|f| &f["operation"]).collect();
        assert_eq!(operations, [&json!("sign")]);
        assert_eq!(latency[0]["calls"], 2);
        for absent in ["rotation", "cost", "cache"] {
            assert!(answer.all(absent).is_empty(), "{absent}");
        }
    }
}

#[test]
fn signing_keys_are_checked_beside_those_of_a_configuration() {
    let bench = Bench::new();
    bench.local_key("a");
    bench.local_signing_key("releases", "sign-p256");
    let file = bench.file(
        "codec.toml",
        "[keys]\nlocal_keyring = \"keys\"\n[namespaces.prod]\nencrypt = [\"local://a\"]\nplaintext = \"reject\"\n",
    );
    let signing = ["--signing-key", "local://releases"];
    let answer = bench.doctor(&[&["--config", &file][..], &signing].concat(), &[]);
    answer.healthy();
    said(
        answer.one("configuration"),
        &["namespace prod, 1 key, 1 signing key"],
    );
    let keys: Vec<_> = answer.all("key").iter().map(|f| &f["key"]).collect();
    assert_eq!(keys, [&json!("local://a"), &json!("local://releases")]);

    // The configuration names the keyring.
    let both = [&["--config", &file][..], &signing].concat();
    let answer = bench.doctor(&[&both[..], &["--keyring", "elsewhere"]].concat(), &[]);
    answer.stopped_at("configuration", 64, &["--keyring", "codec.toml", "[keys]"]);
}

#[test]
fn a_missing_signing_key_is_told_with_the_command_that_creates_it() {
    let bench = Bench::new();
    let arguments = ["--signing-key", "local://releases", "--keyring", "keys"];
    let answer = bench.doctor(&arguments, &[]);
    answer.stopped_at(
        "key",
        78,
        &["codec-server keys create local://releases --purpose sign-p256"],
    );
    assert!(!bench.folder.path().join("keys").exists());

    bench.local_key("releases");
    let answer = bench.doctor(&arguments, &[]);
    answer.stopped_at(
        "key",
        78,
        &[
            "for another purpose",
            "encrypt",
            "check this one with --key",
        ],
    );
}

#[test]
fn a_key_that_signs_is_told_apart_from_one_that_encrypts() {
    let bench = Bench::new();
    bench.local_signing_key("releases", "sign-ed25519");
    let arguments = ["--key", "local://releases", "--keyring", "keys"];
    let answer = bench.doctor(&arguments, &[]);
    answer.stopped_at(
        "key",
        78,
        &["for another purpose", "check this one with --signing-key"],
    );
}

#[test]
fn a_missing_keyring_is_told_apart_from_a_missing_key() {
    let bench = Bench::new();
    let arguments = ["--signing-key", "local://releases", "--keyring", "none"];
    let answer = bench.doctor(&arguments, &[]);
    let keyring = bench.whole_path("none");
    let missing = format!("no keyring {keyring}");
    let create = format!("--purpose sign-p256 --keyring {keyring}");
    answer.stopped_at("key", 78, &[&missing, &create]);
}

#[test]
fn a_damaged_keyset_is_to_be_restored() {
    let bench = Bench::new();
    bench.local_key("a");
    let file = bench.folder.path().join("keys/a.json");
    std::fs::write(file, "{").unwrap();
    let answer = bench.doctor(&["--key", "local://a", "--keyring", "keys"], &[]);
    answer.stopped_at(
        "key",
        78,
        &["a.json", "the file is damaged", "restore it from a backup"],
    );
    let remedy = answer.one("key")["remedy"].as_str().unwrap();
    assert!(!remedy.contains("name or its settings"), "{remedy}");
}

#[test]
fn a_signing_key_of_another_project_is_told_even_if_its_public_key_cannot_be_read() {
    let bench = Bench::with_signing_key();
    let url = bench.emulator.url();
    let wrong = GCP_KEY.replace("projects/p/", "projects/q/");
    let environment = [
        ("GCP_KMS_ENDPOINT", url.as_str()),
        ("GOOGLE_CLOUD_PROJECT", "p"),
    ];
    let arguments = ["--signing-key", &wrong];
    let right = format!("name the key {GCP_KEY}");
    let answer = bench.doctor(&arguments, &environment);
    answer.stopped_at(
        "key",
        78,
        &["wrong project", "GOOGLE_CLOUD_PROJECT", &right],
    );

    bench.faults(&["deny@GetPublicKey"]);
    let answer = bench.doctor(&arguments, &environment);
    answer.stopped_at("key", 78, &["p may have it", &right, "--purpose sign-p256"]);
}

#[test]
fn a_wrong_signing_key_on_the_command_line_is_wrong_usage() {
    let bench = Bench::new();
    let answer = bench.doctor(&["--signing-key", "locl://a"], &[]);
    answer.stopped_at("configuration", 64, &["--signing-key …: "]);
    let ui = ["--ui", "https://ui.example.com"];
    let answer = bench.doctor(&[&SIGNING[..], &ui].concat(), &[]);
    answer.stopped_at("configuration", 64, &["--config"]);
}

#[test]
fn a_signing_key_at_cloud_kms_is_used_for_real_and_nothing_is_changed() {
    let bench = Bench::with_signing_key();
    let before = bench.emulator.calls().len();
    let answer = bench.signing();
    answer.healthy();
    said(
        answer.one("key"),
        &["in software", "version 1 signs with ECDSA_P256_SHA256"],
    );
    said(answer.one("versions"), &["enabled"]);
    assert_eq!(answer.one("round-trip")["status"], "ok");
    let harmless = [
        "",
        "AsymmetricSign",
        "GetPublicKey",
        "GetCryptoKey",
        "ListCryptoKeyVersions",
    ];
    for call in bench.emulator.calls().iter().skip(before) {
        assert!(harmless.contains(&call.rpc.as_str()), "{call:?}");
    }
}

#[test]
fn a_missing_permission_to_sign_is_told_with_both_roles() {
    let bench = Bench::with_signing_key();
    bench.faults(&["deny@AsymmetricSign"]);
    let answer = bench.signing();
    assert_eq!(answer.status, 77);
    assert_eq!(answer.with_status("failed"), [answer.permission("sign")]);
    said(
        answer.permission("sign"),
        &[
            "--role=roles/cloudkms.signer",
            "--role=roles/cloudkms.viewer",
        ],
    );
    assert_eq!(answer.permission("public_key")["status"], "ok");
    assert_eq!(answer.one("round-trip")["status"], "skipped");

    bench.faults(&["deny@GetPublicKey"]);
    let answer = bench.signing();
    answer.healthy();
    let public_key = answer.permission("public_key");
    assert_eq!(public_key["status"], "warning");
    said(
        public_key,
        &[
            "signing does not need it",
            "--role=roles/cloudkms.publicKeyViewer",
        ],
    );
    assert_eq!(answer.one("round-trip")["status"], "skipped");

    bench.faults(&["deny"]);
    let answer = bench.signing();
    assert_eq!(answer.status, 77);
    said(answer.one("key"), &["not known"]);
}

#[test]
fn a_disabled_signing_key_is_told_by_its_version() {
    let bench = Bench::with_signing_key();
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let answer = bench.signing();
    let remedy = format!("codec-server keys enable {GCP_KEY} --version 1");
    answer.stopped_at("versions", 78, &["enable", &remedy]);
}

#[test]
fn a_key_of_another_purpose_at_cloud_kms_is_told() {
    let bench = Bench::with_key();
    let answer = bench.signing();
    assert_eq!(answer.status, 78);
    said(answer.one("key"), &["EC_SIGN_P256_SHA256"]);
}

#[test]
fn a_signing_key_at_aws_is_found_healthy_and_a_missing_permission_told() {
    let bench = Bench::new();
    let account = Account::new();
    let server = bench.runtime.block_on(account.serve("eu-west-1")).unwrap();
    let key = format!("aws-kms://{}", account.signing_key("eu-west-1"));
    let doctor = || {
        let arguments = ["--signing-key", &key, "--aws-endpoint", server.url()];
        let credentials = [
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODY"),
            ("AWS_SECRET_ACCESS_KEY", "sk-secret"),
        ];
        bench.doctor(&arguments, &credentials)
    };
    let answer = doctor();
    answer.healthy();
    said(answer.one("key"), &["it signs with ECDSA_P256_SHA256"]);
    assert_eq!(answer.one("round-trip")["status"], "ok");

    server.fail("Sign", AwsFault::Error("AccessDeniedException"), 100);
    let answer = doctor();
    assert_eq!(answer.status, 77);
    assert_eq!(answer.with_status("failed"), [answer.permission("sign")]);
    said(
        answer.permission("sign"),
        &["kms:Sign", "--operations Sign"],
    );
}
