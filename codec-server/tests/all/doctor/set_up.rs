//! Configurations, local keys, PKCS#11 modules.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::doctor::bench::{Bench, GCP_KEY, said};

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
    let keyring = bench.whole_path("keys");
    let credentials = answer.all("credentials");
    assert_eq!(credentials.len(), 2);
    for found in credentials {
        said(found, &[&format!("is the folder {keyring}")]);
    }
    said(answer.all("rotation")[0], &["age is not known"]);
    assert_eq!(answer.all("clock")[0]["status"], "skipped");
    said(
        answer.one("round-trip"),
        &["comes back", "altered", "refused"],
    );
    assert_eq!(answer.one("round-trip")["namespace"], "prod");
    let cache = answer.one("cache");
    // One call wraps the data key, one verifies it, and one unwraps it elsewhere.
    assert_eq!(
        (&cache["calls"], &cache["calls_without_cache"]),
        (&json!(3), &json!(4))
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
        text.lines()
            .last()
            .unwrap()
            .starts_with("No check failed, "),
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
        78,
        &[
            "codec.toml:2: server.listen",
            "names no key",
            "config check",
        ],
    );
    let answer = bench.doctor(&[], &[]);
    answer.stopped_at("configuration", 78, &["TEMPORAL_CODEC_KEY"]);

    let file = bench.file(
        "codec.toml",
        "[keys]\nlocal_keyring = \"keys\"\n[namespaces.a]\nencrypt = [\"local://a\"]\n",
    );
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
    // Two recipients wrap and verify the data key, and one unwraps it; in direct mode each payload is two calls.
    let cache = answer.all("cache");
    assert_eq!(
        (&cache[0]["calls"], &cache[1]["calls"]),
        (&json!(5), &json!(4))
    );
}

#[test]
fn no_key_is_created() {
    let bench = Bench::new();
    let environment = [
        ("TEMPORAL_CODEC_KEY", "local://new"),
        ("TEMPORAL_CODEC_KEYRING", "keys"),
    ];
    let answer = bench.doctor(&[], &environment);
    let create = format!(
        "codec-server keys create local://new --keyring {}",
        bench.whole_path("keys")
    );
    answer.stopped_at("key", 78, &[&create]);
    assert!(!bench.folder.path().join("keys").exists());
}

#[test]
fn a_missing_key_is_told_with_a_name_that_is_like_it() {
    let bench = Bench::with_key();
    bench.local_key("workflows");
    let answer = bench.doctor(&["--key", "local://workflow", "--keyring", "keys"], &[]);
    answer.stopped_at("key", 78, &["is called local://workflows", "keys create"]);
    let url = bench.emulator.url();
    let near = GCP_KEY.replace("orders", "ordres");
    let answer = bench.doctor(&["--key", &near], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at("key", 78, &[&format!("is called {GCP_KEY}")]);
    let ring = GCP_KEY.replace("keyRings/r/", "keyRings/s/");
    let answer = bench.doctor(&["--key", &ring], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at("key", 78, &["key ring", "gcloud kms keyrings list"]);
}

#[test]
fn a_missing_key_that_only_decrypts_is_not_to_be_created() {
    let bench = Bench::new();
    bench.local_key("new");
    let file = bench.file(
        "codec.toml",
        "[keys]\nlocal_keyring = \"keys\"\n[namespaces.prod]\nencrypt = [\"local://new\"]\ndecrypt = [\"local://old\"]\n",
    );
    let answer = bench.doctor(&["--config", &file], &[]);
    assert_eq!(answer.status, 78);
    let failed = answer.with_status("failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["key"], "local://old");
    said(failed[0], &["in the same place are new"]);
    assert_eq!(
        failed[0]["remedy"],
        "correct the name or the folder: a new key would open nothing"
    );
}

#[test]
fn a_keyring_alone_means_its_default_key() {
    let bench = Bench::new();
    bench.local_key("default");
    let answer = bench.doctor(&["--keyring", "keys"], &[]);
    answer.healthy();
    said(answer.one("configuration"), &["1 key"]);
}

#[test]
fn keys_of_the_command_line_are_told_apart() {
    let bench = Bench::new();
    bench.local_key("a");
    bench.local_key("b");
    let keys = [
        "--key",
        "local://a",
        "--key",
        "local://b",
        "--keyring",
        "keys",
    ];
    let answer = bench.doctor(&keys, &[]);
    answer.healthy();
    let configuration = answer.one("configuration");
    assert_eq!(
        (&configuration["namespaces"], &configuration["keys"]),
        (&json!(1), &json!(2))
    );
    said(configuration, &["namespace default, 2 keys"]);
    let round_trips = answer.all("round-trip");
    let of: Vec<_> = round_trips.iter().map(|f| &f["key"]).collect();
    assert_eq!(of, [&json!("local://a"), &json!("local://b")]);

    let output = bench.command().arg("doctor").args(keys).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for key in ["a", "b"] {
        let heading = format!("\nNamespace default with key local://{key}\n");
        assert_eq!(text.matches(&heading).count(), 1, "{text}");
    }
    assert!(!text.contains("\nNamespace default\n"), "{text}");
}

#[test]
fn a_wrong_key_on_the_command_line_is_wrong_usage() {
    let bench = Bench::new();
    let answer = bench.doctor(&["--key", "locl://a"], &[]);
    answer.stopped_at("configuration", 64, &["--key …: "]);
}

#[test]
fn the_last_line_counts_and_names_the_first_failure() {
    let bench = Bench::with_key();
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let mut doctor = bench.command();
    doctor
        .env("GCP_KMS_ENDPOINT", bench.emulator.url())
        .args(["doctor", "--key", GCP_KEY]);
    let output = doctor.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.lines().last().unwrap(),
        "1 check failed, 5 were skipped, 6 passed. Fix this first: versions."
    );
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
        answer.stopped_at("endpoint", 78, &["PKCS#11 module", "PKCS11_MODULE"]);
        said(answer.one("credentials"), &["the PIN in"]);
        assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
    }
}
