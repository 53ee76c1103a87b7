//! `codec-server sign` and `verify`: the real program on real files.

use std::{fs, path::PathBuf, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

/// A folder with a file, and a key for each algorithm.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::write(folder.path("file"), "what is signed").unwrap();
        for purpose in ["sign-p256", "sign-ed25519"] {
            let key = format!("local://{purpose}");
            folder.run(0, &["keys", "create", &key, "--purpose", purpose]);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn run(&self, status: i32, arguments: &[&str]) -> Output {
        let output = program()
            .current_dir(self.0.path())
            .args(arguments)
            .args(["--keyring", "keys"])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {words}");
        output
    }

    /// Writes the public key of `key` to `NAME.pem`.
    fn public_key(&self, key: &str, name: &str) {
        let pem = self.run(0, &["keys", "public-key", key]).stdout;
        fs::write(self.path(name), pem).unwrap();
    }
}

#[test]
fn a_file_is_verified_with_the_service_and_with_the_public_key_alone() {
    let folder = Folder::new();
    for key in ["local://sign-p256", "local://sign-ed25519"] {
        folder.run(0, &["sign", "file", "--key", key, "--force"]);
        let written = fs::read(folder.path("file.sig")).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["key"], key);
        folder.run(0, &["verify", "file", "--key", key]);
        folder.public_key(key, "key.pem");
        let answer = folder.run(0, &["verify", "file", "--public-key", "key.pem", "--json"]);
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert_eq!(answer["valid"], true);
        assert_eq!(answer["algorithm"], written["algorithm"]);

        folder.run(0, &["keys", "rotate", key]);
        folder.run(0, &["verify", "file", "--key", key]);
    }
}

#[test]
fn another_file_key_or_signature_is_refused() {
    let folder = Folder::new();
    let key = "local://sign-p256";
    folder.run(0, &["sign", "file", "--key", key]);
    folder.run(73, &["sign", "file", "--key", key]);
    fs::write(folder.path("other"), "what is not signed").unwrap();
    let of_file = ["--signature", "file.sig"];
    folder.run(
        65,
        &[&["verify", "other", "--key", key][..], &of_file].concat(),
    );
    folder.run(65, &["verify", "file", "--key", "local://sign-ed25519"]);
    folder.public_key("local://sign-ed25519", "other.pem");
    folder.run(65, &["verify", "file", "--public-key", "other.pem"]);
    fs::write(folder.path("file.sig"), "{}").unwrap();
    folder.run(65, &["verify", "file", "--key", key]);
    folder.run(65, &["verify", "file", "--public-key", "file"]);
    let output = folder.run(66, &["verify", "none", "--key", key]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("none: cannot read the file"), "{words}");
    folder.run(64, &["verify", "file"]);
    folder.run(
        78,
        &["sign", "file", "--key", "local://none", "--output", "-"],
    );
}

#[test]
fn a_signature_of_a_destroyed_version_is_told_from_a_changed_file() {
    let folder = Folder::new();
    let key = "local://sign-p256";
    folder.run(0, &["sign", "file", "--key", key]);
    folder.public_key(key, "key.pem");
    let written = fs::read(folder.path("file.sig")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let version = written["version"].as_str().unwrap();
    folder.run(0, &["keys", "rotate", key]);
    folder.run(0, &["keys", "destroy", key, "--version", version, "--yes"]);
    let output = folder.run(65, &["verify", "file", "--key", key]);
    let words = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "file.sig: the signature names version {version} of {key}, which the key does not have any more; verify with --public-key"
    );
    assert!(words.contains(&expected), "{words}");
    folder.run(0, &["verify", "file", "--public-key", "key.pem"]);
}

#[test]
fn the_bytes_alone_are_verified_too() {
    let folder = Folder::new();
    let key = "local://sign-p256";
    let raw = ["--raw", "--output", "file.der"];
    folder.run(0, &[&["sign", "file", "--key", key][..], &raw].concat());
    // ASN.1 DER of a sequence (RFC 3279, section 2.2.3).
    assert_eq!(fs::read(folder.path("file.der")).unwrap()[0], 0x30);
    folder.public_key(key, "key.pem");
    let signature = ["--signature", "file.der"];
    for by in [["--key", key], ["--public-key", "key.pem"]] {
        folder.run(0, &[&["verify", "file"][..], &signature, &by].concat());
    }
}

#[test]
fn the_bytes_alone_are_verified_after_a_rotation() {
    let folder = Folder::new();
    fs::write(folder.path("other"), "what is not signed").unwrap();
    let signature = ["--signature", "file.der"];
    for key in ["local://sign-p256", "local://sign-ed25519"] {
        let raw = ["--raw", "--force", "--output", "file.der"];
        folder.run(0, &[&["sign", "file", "--key", key][..], &raw].concat());
        folder.public_key(key, "old.pem");
        folder.run(0, &["keys", "rotate", key]);
        folder.run(0, &["keys", "rotate", key]);
        let by_key = ["--key", key];
        let answer = folder.run(
            0,
            &[&["verify", "file", "--json"][..], &signature, &by_key].concat(),
        );
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert!(answer["version"].is_string(), "{answer}");
        folder.run(
            65,
            &[&["verify", "other"][..], &signature, &by_key].concat(),
        );

        folder.public_key(key, "new.pem");
        for (status, file) in [(0, "old.pem"), (65, "new.pem")] {
            let by = ["--public-key", file];
            let output = folder.run(status, &[&["verify", "file"][..], &signature, &by].concat());
            let words = String::from_utf8(output.stderr).unwrap();
            let remedy = "codec-server keys public-key KEY --version ID";
            assert_eq!(words.contains(remedy), status == 65, "{words}");
        }
    }
}

#[test]
fn a_refused_signature_names_the_version_that_it_is_of() {
    let folder = Folder::new();
    let key = "local://sign-p256";
    folder.run(0, &["sign", "file", "--key", key]);
    let written = fs::read(folder.path("file.sig")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let version = written["version"].as_str().unwrap();
    folder.run(0, &["keys", "rotate", key]);
    folder.public_key(key, "new.pem");
    let output = folder.run(65, &["verify", "file", "--public-key", "new.pem"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("the file was changed"), "{words}");
    let remedy = format!("codec-server keys public-key {key} --version {version}");
    assert!(words.contains(&remedy), "{words}");
    folder.run(0, &["keys", "public-key", key, "--version", version]);

    let output = folder.run(65, &["verify", "file", "--key", "local://sign-ed25519"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("names {key}")), "{words}");
}

#[test]
fn a_signature_puts_no_command_into_the_advice() {
    let folder = Folder::new();
    folder.run(0, &["sign", "file", "--key", "local://sign-p256"]);
    folder.public_key("local://sign-ed25519", "other.pem");
    let written = fs::read(folder.path("file.sig")).unwrap();
    let mut signature: Value = serde_json::from_slice(&written).unwrap();
    signature["key"] = "vault://x;touch${IFS}PWNED;echo".into();
    fs::write(folder.path("file.sig"), signature.to_string()).unwrap();
    let output = folder.run(65, &["verify", "file", "--public-key", "other.pem"]);
    let words = String::from_utf8(output.stderr).unwrap();
    let quoted = "keys public-key 'vault://x;touch${IFS}PWNED;echo' --version";
    assert!(words.contains(quoted), "{words}");
}

#[test]
fn a_missing_key_is_created_to_sign_and_not_to_verify() {
    let folder = Folder::new();
    let words = |arguments: &[&str]| {
        let output = folder.run(78, arguments);
        String::from_utf8(output.stderr).unwrap()
    };
    let key = ["--key", "local://none"];
    let keyring = folder.path("keys").canonicalize().unwrap();
    let keyring = keyring.display();
    let to_sign = words(&[&["sign", "file"][..], &key].concat());
    let create = format!("keys create local://none --purpose sign-p256 --keyring {keyring}");
    assert!(to_sign.contains(&create), "{to_sign}");
    folder.run(0, &["sign", "file", "--key", "local://sign-p256"]);
    let to_verify = words(&[&["verify", "file"][..], &key].concat());
    let missing = format!("no key local://none in {keyring}; correct the name in --key");
    assert!(to_verify.contains(&missing), "{to_verify}");
    assert!(!to_verify.contains("create"), "{to_verify}");
}
