//! `codec-server doctor` against a local keyring, the emulator of Cloud KMS and a scripted AWS KMS: for every way in which
//! a set-up fails it names the cause and what to do.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use aws_kms_script::{Account, Fault as AwsFault, Server};
use cloud_kms_emulator::{Emulator, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const GCP_KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/orders";
const PLAINTEXT: &str = "codec-server doctor was here";

/// The program with servers to call, in an environment that holds nothing else.
struct Bench {
    folder: TempDir,
    emulator: Emulator,
    runtime: Runtime,
}

/// What it answered.
struct Answer {
    status: i32,
    findings: Vec<Value>,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            emulator: runtime
                .block_on(Emulator::start(Options::default()))
                .unwrap(),
            runtime,
        }
    }

    /// With the key `orders` at Cloud KMS.
    fn with_key() -> Self {
        let bench = Self::new();
        bench.keys(&["create", GCP_KEY]);
        bench
    }

    fn faults(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.emulator.set_faults(faults);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codec-server"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("RUST_LOG", "error")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn keys(&self, arguments: &[&str]) {
        let mut command = self.command();
        command.env("GCP_KMS_ENDPOINT", self.emulator.url());
        let output = command.arg("keys").args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
    }

    #[track_caller]
    fn doctor(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
        let mut command = self.command();
        command.envs(variables.iter().copied());
        let doctor = ["doctor", "--json", "--samples", "2"];
        let output = command.args(doctor).args(arguments).output().unwrap();
        Answer::of(&output)
    }

    /// Of the key at Cloud KMS.
    #[track_caller]
    fn gcp(&self, arguments: &[&str]) -> Answer {
        let url = self.emulator.url();
        let all = [&["--key", GCP_KEY], arguments].concat();
        self.doctor(&all, &[("GCP_KMS_ENDPOINT", &url)])
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn local_key(&self, name: &str) {
        let key = format!("local://{name}");
        self.keys(&["create", &key, "--keyring", "keys"]);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The servers' tasks end in their runtime.
        let _runtime = self.runtime.enter();
    }
}

impl Answer {
    #[track_caller]
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(PLAINTEXT), "{text}");
        assert_eq!(error, "", "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let findings = answer["findings"].as_array().unwrap().clone();
        let failed = findings.iter().any(|finding| finding["status"] == "failed");
        assert_eq!(answer["ok"], json!(!failed));
        Self {
            status: output.status.code().unwrap(),
            findings,
        }
    }

    #[track_caller]
    fn all(&self, check: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["check"] == check;
        self.findings.iter().filter(of).collect()
    }

    #[track_caller]
    fn one(&self, check: &str) -> &Value {
        let found = self.all(check);
        assert_eq!(found.len(), 1, "{check}: {found:#?}");
        found[0]
    }

    /// The finding of one operation.
    #[track_caller]
    fn permission(&self, operation: &str) -> &Value {
        let found = self.all("permission");
        let of = |finding: &&&Value| finding["operation"] == operation;
        found.iter().find(of).unwrap()
    }

    /// That `check` failed and nothing before it, that nothing after it was looked at, and that it says these words.
    #[track_caller]
    fn stopped_at(&self, check: &str, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{:#?}", self.findings);
        let failed: Vec<_> = self.with_status("failed");
        assert_eq!(failed.len(), 1, "{failed:#?}");
        assert_eq!(failed[0]["check"], check, "{failed:#?}");
        said(failed[0], words);
        let place = |finding: &Value| finding["status"] == "failed";
        let after = self.findings.iter().skip_while(|finding| !place(finding));
        for later in after.skip(1).filter(|later| later["check"] != "rotation") {
            assert_eq!(later["status"], "skipped", "{later:#?}");
        }
    }

    fn with_status(&self, status: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["status"] == status;
        self.findings.iter().filter(of).collect()
    }

    #[track_caller]
    fn healthy(&self) {
        assert_eq!(self.with_status("failed"), Vec::<&Value>::new());
        assert_eq!(self.status, 0);
    }
}

/// In the summary or the remedy.
#[track_caller]
fn said(finding: &Value, words: &[&str]) {
    let text = format!(
        "{} → {}",
        finding["summary"].as_str().unwrap(),
        finding["remedy"].as_str().unwrap_or_default()
    );
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

#[test]
fn a_local_set_up_is_found_healthy() {
    let bench = Bench::new();
    bench.local_key("new");
    bench.local_key("old");
    let file = bench.file(
        "codec.toml",
        "[keys]\nlocal_keyring = \"keys\"\n[namespaces.prod]\nencrypt = [\"local://new\"]\ndecrypt = [\"local://old\"]\n",
    );
    let answer = bench.doctor(&["--config", &file], &[]);
    answer.healthy();
    assert_eq!(answer.all("configuration")[0]["keys"], 2);
    said(answer.all("rotation")[0], &["age is not known"]);
    assert_eq!(answer.all("clock")[0]["status"], "skipped");
    said(
        answer.one("round-trip"),
        &["comes back", "altered", "refused"],
    );
    assert_eq!(answer.one("round-trip")["namespace"], "prod");
    let cache = answer.one("cache");
    assert_eq!(
        (&cache["calls"], &cache["calls_without_cache"]),
        (&json!(2), &json!(4))
    );
    let latency = answer.all("latency");
    assert_eq!((latency.len(), &latency[0]["calls"]), (4, &json!(2)));
}

#[test]
fn people_get_a_short_text_with_a_verdict() {
    let bench = Bench::new();
    bench.local_key("a");
    let arguments = ["doctor", "--key", "local://a", "--keyring", "keys"];
    let output = bench.command().args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("Configuration\n  ok       configuration"));
    assert!(text.contains("\nKey local://a\n") && text.contains("\nNamespace default\n"));
    assert!(
        text.lines().last().unwrap().starts_with("Nothing failed: "),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn every_mistake_of_a_configuration_is_told() {
    let bench = Bench::new();
    let file = bench.file(
        "codec.toml",
        "[server]\nlisten = \"x\"\n[namespaces.a]\nencrypt = []\n",
    );
    let answer = bench.doctor(&["--config", &file], &[]);
    answer.stopped_at(
        "configuration",
        64,
        &[
            "codec.toml:2: server.listen",
            "names no key",
            "config check",
        ],
    );
    let answer = bench.doctor(&[], &[]);
    answer.stopped_at("configuration", 64, &["TEMPORAL_CODEC_KEY"]);

    let file = bench.file("codec.toml", "[namespaces.a]\nencrypt = [\"local://a\"]\n");
    let answer = bench.doctor(&["--config", &file, "--namespace", "b"], &[]);
    answer.stopped_at(
        "configuration",
        64,
        &["no namespace b", "name one that it has: a"],
    );
}

#[test]
fn settings_that_weaken_are_worth_a_warning() {
    let bench = Bench::with_key();
    bench.local_key("a");
    let file = bench.file(
        "codec.toml",
        &format!(
            "[keys]\nlocal_keyring = \"keys\"\ngcp_endpoint = \"{}\"\n\
             [namespaces.both]\nencrypt = [\"{GCP_KEY}\", \"local://a\"]\n\
             [namespaces.direct]\nencrypt = [\"{GCP_KEY}\"]\nformat = \"direct\"\n",
            bench.emulator.url()
        ),
    );
    let answer = bench.doctor(&["--config", &file], &[]);
    answer.healthy();
    let warned = answer.with_status("warning");
    assert_eq!(warned.len(), 2, "{warned:#?}");
    said(warned[0], &["local key is among several recipients"]);
    said(warned[1], &["format = direct"]);
    assert_eq!(answer.permission("encrypt")["max_plaintext"], 65536);
    assert_eq!(answer.permission("decrypt")["status"], "ok");
    // Two recipients are wrapped for, and one unwraps; in direct mode each payload is two calls.
    let cache = answer.all("cache");
    assert_eq!(
        (&cache[0]["calls"], &cache[1]["calls"]),
        (&json!(3), &json!(4))
    );
}

#[test]
fn no_key_is_made() {
    let bench = Bench::new();
    let environment = [
        ("TEMPORAL_CODEC_KEY", "local://new"),
        ("TEMPORAL_CODEC_KEYRING", "keys"),
    ];
    let answer = bench.doctor(&[], &environment);
    answer.healthy();
    assert_eq!(answer.one("key")["would_be_created"], true);
    said(answer.one("key"), &["codec-server keys create local://new"]);
    assert_eq!(answer.one("round-trip")["status"], "skipped");
    assert!(!bench.folder.path().join("keys").exists());
}

#[test]
fn a_missing_key_is_told_with_a_name_that_is_like_it() {
    let bench = Bench::with_key();
    bench.local_key("workflows");
    let answer = bench.doctor(&["--key", "local://workflow", "--keyring", "keys"], &[]);
    answer.stopped_at("key", 64, &["is called local://workflows", "keys create"]);
    let url = bench.emulator.url();
    let near = GCP_KEY.replace("orders", "ordres");
    let answer = bench.doctor(&["--key", &near], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at("key", 64, &[&format!("is called {GCP_KEY}")]);
    let ring = GCP_KEY.replace("keyRings/r/", "keyRings/s/");
    let answer = bench.doctor(&["--key", &ring], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at("key", 64, &["key ring", "gcloud kms keyrings list"]);
}

#[test]
fn a_key_at_cloud_kms_is_used_for_real_and_nothing_is_changed() {
    let bench = Bench::with_key();
    let before = bench.emulator.calls().len();
    let answer = bench.gcp(&["--tasks-per-month", "10000"]);
    answer.healthy();
    assert_eq!(answer.with_status("warning"), Vec::<&Value>::new());
    said(answer.one("credentials"), &["emulator"]);
    assert_eq!(answer.one("endpoint")["url"], bench.emulator.url().as_str());
    assert_eq!(answer.one("clock")["status"], "ok");
    said(answer.one("versions"), &["version 1 is primary"]);
    assert_eq!(answer.one("rotation")["age_days"], 0);
    let cost = answer.one("cost");
    // One version, and the two calls of each task.
    assert_eq!(cost["dollars_per_month_without_cache"], 0.12);
    assert_eq!(cost["calls_per_month_without_cache"], 20_000);
    said(cost, &["estimate", "assumed"]);
    let harmless = [
        "",
        "Encrypt",
        "Decrypt",
        "GetCryptoKey",
        "ListCryptoKeyVersions",
    ];
    for call in bench.emulator.calls().iter().skip(before) {
        assert!(harmless.contains(&call.rpc.as_str()), "{call:?}");
    }
}

#[test]
fn a_wrong_project_is_told_with_the_right_one() {
    let bench = Bench::with_key();
    let url = bench.emulator.url();
    let wrong = GCP_KEY.replace("projects/p/", "projects/q/");
    let environment = [
        ("GCP_KMS_ENDPOINT", url.as_str()),
        ("GOOGLE_CLOUD_PROJECT", "p"),
    ];
    let answer = bench.doctor(&["--key", &wrong], &environment);
    answer.stopped_at(
        "key",
        64,
        &[
            "wrong project",
            "GOOGLE_CLOUD_PROJECT",
            &format!("name the key {GCP_KEY}"),
        ],
    );

    bench.faults(&["service-disabled"]);
    let answer = bench.doctor(&["--key", &wrong], &environment);
    answer.stopped_at(
        "key",
        64,
        &[
            "project q has not enabled Cloud KMS",
            "wrong project? GOOGLE_CLOUD_PROJECT names p",
            "gcloud services enable cloudkms.googleapis.com --project=q",
        ],
    );

    bench.faults(&["deny"]);
    let answer = bench.doctor(&["--key", &wrong], &environment);
    assert_eq!(answer.status, 77);
    said(
        answer.one("key"),
        &["GOOGLE_CLOUD_PROJECT names p", GCP_KEY],
    );
}

#[test]
fn a_missing_permission_is_told_with_the_role_and_its_command() {
    let bench = Bench::with_key();
    bench.faults(&["deny@Decrypt"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at_permission(
        "unwrap",
        &[
            "gcloud kms keys add-iam-policy-binding orders --keyring=r --location=global --project=p",
            "--role=roles/cloudkms.cryptoKeyDecrypter",
        ],
    );
    assert_eq!(answer.permission("wrap")["status"], "ok");

    bench.faults(&["deny@Encrypt"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at_permission("wrap", &["--role=roles/cloudkms.cryptoKeyEncrypter"]);
    assert_eq!(
        answer.permission("unwrap")["status"],
        "ok",
        "it was tried all the same"
    );
}

impl Answer {
    #[track_caller]
    fn stopped_at_permission(&self, operation: &str, words: &[&str]) {
        assert_eq!(self.status, 77, "{:#?}", self.findings);
        let failed = self.with_status("failed");
        assert_eq!(failed, [self.permission(operation)]);
        said(failed[0], words);
        for check in ["latency", "cost", "round-trip", "cache"] {
            assert_eq!(self.one(check)["status"], "skipped");
        }
    }
}

#[test]
fn what_only_administrators_may_do_is_not_needed() {
    let bench = Bench::with_key();
    bench.faults(&["deny@GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    assert_eq!(answer.one("versions")["status"], "skipped");
    said(answer.one("versions"), &["need not"]);
    assert_eq!(answer.permission("describe")["status"], "warning");
    said(
        answer.permission("describe"),
        &["--role=roles/cloudkms.viewer"],
    );

    let file = bench.file(
        "codec.toml",
        &format!(
            "[keys]\ngcp_endpoint = \"{}\"\n[namespaces.a]\nencrypt = [\"{GCP_KEY}\"]\n",
            bench.emulator.url()
        ),
    );
    let answer = bench.doctor(&["--config", &file], &[]);
    assert_eq!(
        answer.status, 77,
        "a codec server reports itself ready by it"
    );
    said(
        answer.permission("describe"),
        &["/readyz", "--role=roles/cloudkms.viewer"],
    );
    assert_eq!(answer.one("round-trip")["status"], "ok");
}

#[test]
fn a_key_that_only_decrypts_need_not_encrypt() {
    let bench = Bench::with_key();
    bench.local_key("a");
    let file = bench.file(
        "codec.toml",
        &format!(
            "[keys]\nlocal_keyring = \"keys\"\ngcp_endpoint = \"{}\"\n\
             [namespaces.a]\nencrypt = [\"local://a\"]\ndecrypt = [\"{GCP_KEY}\"]\n",
            bench.emulator.url()
        ),
    );
    bench.faults(&["deny@Encrypt,GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.doctor(&["--config", &file], &[]);
    answer.healthy();
    let of_key: Vec<_> = answer
        .all("permission")
        .into_iter()
        .filter(|f| f["key"] == GCP_KEY)
        .collect();
    let statuses: Vec<_> = of_key.iter().map(|finding| &finding["status"]).collect();
    assert_eq!(
        statuses,
        ["skipped", "ok", "skipped"],
        "wrap, unwrap, describe"
    );

    bench.faults(&["deny@Encrypt,Decrypt"]);
    let answer = bench.doctor(&["--config", &file], &[]);
    assert_eq!(answer.status, 77);
    assert_eq!(
        answer.one("round-trip")["status"],
        "ok",
        "the encrypting key is well"
    );
}

#[test]
fn a_disabled_version_is_told_with_the_command_that_enables_it() {
    let bench = Bench::with_key();
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let answer = bench.gcp(&[]);
    let remedy = format!("codec-server keys enable {GCP_KEY} --version 1");
    answer.stopped_at("versions", 64, &["version 1", "disabled", &remedy]);

    // Whoever may see no versions is sent to somebody who may.
    bench.faults(&["deny@GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at(
        "versions",
        64,
        &[
            "disabled",
            "codec-server keys versions",
            "codec-server keys enable",
        ],
    );
    bench.faults(&[]);

    // The remedy is a command that works.
    let command: Vec<_> = remedy.split(' ').skip(2).collect();
    bench.keys(&command);
    bench.gcp(&[]).healthy();

    bench.keys(&["rotate", GCP_KEY]);
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    assert_eq!(answer.one("versions")["status"], "warning");
    said(
        answer.one("versions"),
        &["version 1 disabled", "cannot be decrypted", &remedy],
    );
}

#[test]
fn missing_credentials_are_told_before_anything_is_called() {
    let bench = Bench::new();
    let nobody = closed_port();
    let environment = [("GCE_METADATA_HOST", nobody.as_str())];
    let answer = bench.doctor(&["--key", GCP_KEY], &environment);
    answer.stopped_at(
        "credentials",
        64,
        &[
            "there are none",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "gcloud auth application-default login",
        ],
    );
    let environment = [("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/gcp.json")];
    let answer = bench.doctor(&["--key", GCP_KEY], &environment);
    answer.stopped_at("credentials", 64, &["/nonexistent/gcp.json cannot be read"]);

    let file = bench.file("gcp.json", r#"{"private_key":"sk-secret"}"#);
    let answer = bench.gcp(&["--gcp-credentials", &file]);
    answer.stopped_at("credentials", 64, &["is no credentials file"]);
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn refused_credentials_are_told_from_missing_ones() {
    let bench = Bench::with_key();
    bench.faults(&["status=401"]);
    bench
        .gcp(&[])
        .stopped_at("credentials", 77, &["does not accept the credentials"]);
    bench.faults(&[]);

    // Where a token should come from is no token service.
    let user = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "sk-secret",
        "refresh_token": "sk-secret",
        "token_uri": format!("{}/token", bench.emulator.url()),
    });
    let file = bench.file("gcp.json", &user.to_string());
    let answer = bench.gcp(&["--gcp-credentials", &file]);
    answer.stopped_at(
        "credentials",
        77,
        &[
            "gcp.json",
            "gives no token",
            "gcloud auth application-default login",
        ],
    );
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn an_unreachable_endpoint_is_told_from_a_service_that_fails() {
    let bench = Bench::with_key();
    let url = format!("http://{}", closed_port());
    let answer = bench.doctor(&["--key", GCP_KEY], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at(
        "endpoint",
        69,
        &[
            &format!("{url} is unreachable: the connection is refused"),
            "GCP_KMS_ENDPOINT",
        ],
    );
    let arguments = [
        "--key",
        "aws-kms://alias/a",
        "--aws-region",
        "eu-west-1",
        "--aws-endpoint",
        "https://kms.invalid",
    ];
    let answer = bench.doctor(&arguments, &[]);
    answer.stopped_at(
        "endpoint",
        69,
        &["its name is not resolved", "AWS_ENDPOINT_URL_KMS"],
    );

    bench.faults(&["status=503"]);
    bench
        .gcp(&[])
        .stopped_at("endpoint", 75, &["calls fail", "try again"]);
    bench.faults(&["status=429"]);
    bench.gcp(&[]).stopped_at("endpoint", 75, &["quota"]);
}

#[test]
fn a_skewed_clock_is_told_by_the_services_date() {
    let bench = Bench::with_key();
    for (skew, side) in [("skew=600s", "behind"), ("skew=-600s", "ahead")] {
        bench.faults(&[skew]);
        let answer = bench.gcp(&[]);
        assert_eq!(answer.status, 64);
        let clock = answer.one("clock");
        assert_eq!(clock["status"], "failed");
        assert!(
            clock["skew_seconds"].as_i64().unwrap().abs() >= 590,
            "{clock}"
        );
        said(clock, &[side, "timedatectl set-ntp true"]);
    }
    // Credentials that are refused meanwhile are not to blame.
    bench.faults(&["skew=600s", "status=401"]);
    bench.gcp(&[]).stopped_at("clock", 64, &["behind"]);

    bench.faults(&["skew=120s"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    assert_eq!(answer.one("clock")["status"], "warning");
}

#[test]
fn slow_calls_are_worth_a_warning() {
    let bench = Bench::with_key();
    bench.faults(&["latency=450ms@Encrypt"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    let latency = answer.all("latency");
    assert_eq!(latency[0]["operation"], "wrap");
    assert_eq!(latency[0]["status"], "warning");
    assert!(latency[0]["p50_milliseconds"].as_f64().unwrap() >= 450.0);
}

#[test]
fn an_absent_pkcs11_module_is_told_by_its_path() {
    let bench = Bench::new();
    let pin = bench.file("pin", "sk-secret");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    let key = "pkcs11:token=t;object=o";
    for module in [
        "/nonexistent/libpkcs11.so".to_owned(),
        bench.file("no.so", "no library"),
    ] {
        let arguments = [
            "--key",
            key,
            "--pkcs11-module",
            &module,
            "--pkcs11-pin-file",
            &pin,
        ];
        let answer = bench.doctor(&arguments, &[]);
        answer.stopped_at("endpoint", 64, &["PKCS#11 module", "PKCS11_MODULE"]);
        said(answer.one("credentials"), &["the PIN in"]);
        assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
    }
}

/// A scripted AWS KMS with one key.
struct Aws {
    bench: Bench,
    server: Server,
    key: String,
}

impl Aws {
    fn new() -> Self {
        let bench = Bench::new();
        let account = Account::new();
        let server = bench.runtime.block_on(account.serve("eu-west-1")).unwrap();
        let key = format!("aws-kms://{}", account.symmetric_key("eu-west-1"));
        Self { bench, server, key }
    }

    #[track_caller]
    fn doctor(&self, variables: &[(&str, &str)]) -> Answer {
        let arguments = ["--key", &self.key, "--aws-endpoint", self.server.url()];
        self.bench.doctor(&arguments, variables)
    }

    #[track_caller]
    fn as_somebody(&self) -> Answer {
        self.doctor(&[
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODY"),
            ("AWS_SECRET_ACCESS_KEY", "sk-secret"),
        ])
    }
}

#[test]
fn a_key_at_aws_is_found_healthy() {
    let aws = Aws::new();
    let answer = aws.as_somebody();
    answer.healthy();
    said(answer.one("credentials"), &["AWS_ACCESS_KEY_ID"]);
    assert_eq!(answer.one("clock")["status"], "ok");
    assert_eq!(answer.one("cost")["dollars_per_month_without_cache"], 1.06);
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn a_missing_permission_at_aws_is_told_with_its_grant() {
    let aws = Aws::new();
    for (operation, tried) in [("Decrypt", "unwrap"), ("GenerateDataKey", "wrap")] {
        aws.server.heal();
        aws.server
            .fail(operation, AwsFault::Error("AccessDeniedException"), 100);
        aws.as_somebody().stopped_at_permission(
            tried,
            &[
                &format!("kms:{operation}"),
                "aws kms create-grant --key-id arn:aws:kms:eu-west-1:",
                &format!("--operations {operation}"),
            ],
        );
    }
}

#[test]
fn aws_says_that_the_clock_is_wrong() {
    let aws = Aws::new();
    let expired = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
    aws.server.fail(
        "*",
        AwsFault::Message("InvalidSignatureException", expired),
        100,
    );
    let answer = aws.as_somebody();
    answer.stopped_at("clock", 64, &["clock is wrong", "timedatectl set-ntp true"]);
    assert!(!format!("{:?}", answer.findings).contains("Signature expired"));
}

#[test]
fn credentials_that_are_missing_at_aws_are_told_from_refused_ones() {
    let aws = Aws::new();
    let answer = aws.doctor(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    answer.stopped_at(
        "credentials",
        64,
        &["no AWS credentials were found", "AWS_PROFILE"],
    );
    aws.server
        .fail("*", AwsFault::Error("UnrecognizedClientException"), 100);
    let answer = aws.as_somebody();
    answer.stopped_at(
        "credentials",
        77,
        &[
            "AWS_ACCESS_KEY_ID",
            "does not accept",
            "aws sts get-caller-identity",
        ],
    );
}

#[test]
fn a_disabled_key_at_aws_is_enabled_as_a_whole() {
    let aws = Aws::new();
    aws.server
        .fail("GenerateDataKey", AwsFault::Error("DisabledException"), 100);
    let answer = aws.as_somebody();
    let remedy = format!("codec-server keys enable {}", aws.key);
    answer.stopped_at("versions", 64, &["disabled", &remedy]);
    assert!(!format!("{:?}", answer.findings).contains("--version"));
}

/// An address of this machine where nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
