//! What the library brings along: nothing of a cloud, of TLS or of HSMs, unless a feature asks for it.
#![allow(clippy::expect_used, reason = "a test")]

use std::process::Command;

/// Crates, by the beginnings of their names, that only features bring.
const HEAVY: [&str; 10] = [
    "aws-config",
    "aws-sdk-",
    "cryptoki",
    "google-cloud-",
    "hyper",
    "native-tls",
    "openssl-sys",
    "reqwest",
    "rustls",
    "temporalio-",
];

#[test]
fn the_library_without_features_has_no_cloud_sdk_and_no_tls() {
    let plain = dependencies(&[]);
    assert!(plain.iter().any(|name| name == "aws-lc-rs"), "{plain:?}");
    let heavy: Vec<_> = plain.iter().filter(|name| is_heavy(name)).collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}

#[test]
fn each_provider_brings_its_own_only() {
    for (feature, brings, others) in [
        ("aws-kms", "aws-sdk-kms", ["google-cloud-", "cryptoki"]),
        ("gcp-kms", "google-cloud-kms-v1", ["aws-sdk-", "cryptoki"]),
        ("pkcs11", "cryptoki", ["google-cloud-", "aws-sdk-"]),
    ] {
        let names = dependencies(&["--features", feature]);
        assert!(names.iter().any(|name| name == brings), "{feature}");
        let foreign = names
            .iter()
            .find(|name| others.iter().any(|other| name.starts_with(other)));
        assert_eq!(foreign, None, "{feature}");
        assert!(!names.iter().any(|name| name == "openssl-sys"));
    }
}

fn is_heavy(name: &str) -> bool {
    HEAVY.iter().any(|heavy| name.starts_with(heavy))
}

/// The names of the crates that the library is built from.
fn dependencies(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "temporal-kms-codec", "--locked"])
        .args(["--edges", "normal", "--prefix", "none"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let tree = String::from_utf8(output.stdout).expect("text");
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}
