//! Signing keysets and signatures, exchanged with the real Tink library in both directions.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use integration_tests::interop;
use serde_json::{Value, json};
use temporal_kms_codec::{
    KeyUri,
    kms::{KeyAdmin as _, Signature, SignatureAlgorithm, local::LocalKeyring},
};

const ALGORITHMS: [SignatureAlgorithm; 2] = [
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::Ed25519,
];
const DATA: &[u8] = b"what is signed";

struct Keys {
    folder: tempfile::TempDir,
    keyring: LocalKeyring,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = LocalKeyring::open(folder.path());
        Self { folder, keyring }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("s.json")
    }
}

fn uri() -> KeyUri {
    "local://s".parse().expect("a key")
}

fn tink(operation: &str, path: &Path, more: &Value) -> Value {
    let mut request = json!({ "operation": operation, "path": path });
    let (request_object, more) = (request.as_object_mut(), more.as_object());
    request_object
        .expect("an object")
        .extend(more.expect("an object").clone());
    interop::run("signing.py", &request)
}

fn tink_signs(path: &Path) -> Vec<u8> {
    let answer = tink("sign", path, &json!({ "data": hex::encode(DATA) }));
    hex::decode(answer.as_str().expect("text")).expect("hexadecimal text")
}

fn tink_verifies(path: &Path, data: &[u8], signature: &[u8]) -> bool {
    let request = json!({ "data": hex::encode(data), "signature_bytes": hex::encode(signature) });
    tink("verify", path, &request)
        .as_bool()
        .expect("true or false")
}

#[tokio::test]
async fn tink_verifies_what_we_sign_before_and_after_our_rotation() {
    for algorithm in ALGORITHMS {
        let keys = Keys::new();
        let key = keys
            .keyring
            .signing_key_or_create("s", algorithm)
            .expect("a key");
        let before = key.sign(DATA).await.expect("signed");
        keys.keyring.rotate("s").expect("rotated");
        let after = key.sign(DATA).await.expect("signed");
        assert_ne!(before.version, after.version);
        for signature in [&before, &after] {
            let bytes = signature.to_tink().expect("a key id");
            assert!(tink_verifies(&keys.file(), DATA, &bytes), "{algorithm:?}");
            assert!(!tink_verifies(&keys.file(), b"other data", &bytes));
        }
        // The signature of one key under the name of the other.
        let swapped = Signature {
            version: before.version.clone(),
            ..after
        };
        let bytes = swapped.to_tink().expect("a key id");
        assert!(!tink_verifies(&keys.file(), DATA, &bytes));
    }
}

#[tokio::test]
async fn we_verify_what_tink_signs_before_and_after_its_rotation() {
    for algorithm in ALGORITHMS {
        let keys = Keys::new();
        let name = json!({ "algorithm": algorithm });
        tink("create", &keys.file(), &name);
        let before = tink_signs(&keys.file());
        tink("rotate", &keys.file(), &name);
        let after = tink_signs(&keys.file());
        assert_ne!(before[..5], after[..5], "the prefix names the key");

        let mode = fs::metadata(keys.file())
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = keys.keyring.signing_key("s").expect("Tink's keyset");
        for tink in [&before, &after] {
            let signature = Signature::from_tink(uri(), algorithm, tink).expect("a prefix");
            assert!(
                key.verify(DATA, &signature).await.expect("told"),
                "{algorithm:?}"
            );
            assert!(!key.verify(b"other data", &signature).await.expect("told"));
        }
        // And it signs with Tink's primary key.
        let ours = key
            .sign(DATA)
            .await
            .expect("signed")
            .to_tink()
            .expect("a key id");
        assert_eq!(ours[..5], after[..5]);
        assert!(tink_verifies(&keys.file(), DATA, &ours));
    }
}

#[tokio::test]
async fn tink_reads_keysets_whose_keys_we_rotated_disabled_and_destroyed() {
    for algorithm in ALGORITHMS {
        let keys = Keys::new();
        tink("create", &keys.file(), &json!({ "algorithm": algorithm }));
        let key = keys.keyring.signing_key("s").expect("Tink's keyset");
        let mut signatures = Vec::new();
        for _ in 0..3 {
            signatures.push(key.sign(DATA).await.expect("signed"));
            keys.keyring.rotate("s").expect("rotated");
        }
        let [disabled, destroyed, enabled] = signatures.as_slice() else {
            unreachable!("three signatures");
        };
        let version = |signature: &Signature| signature.version.clone().expect("a key id");
        let admin = &keys.keyring;
        admin
            .disable(&uri(), Some(&version(disabled)))
            .await
            .expect("disabled");
        admin
            .destroy(&uri(), Some(&version(destroyed)))
            .await
            .expect("destroyed");

        // ENABLED and DISABLED are 1 and 2 in Tink's `KeyStatusType`.
        let states = tink("states", &keys.file(), &json!({}));
        let states: Vec<(u32, u32)> = serde_json::from_value(states).expect("ids and states");
        let state = |signature| {
            let id: u32 = version(signature).parse().expect("a number");
            states
                .iter()
                .find(|(key, _)| *key == id)
                .map(|(_, state)| *state)
        };
        assert_eq!(
            [disabled, destroyed, enabled].map(state),
            [Some(2), None, Some(1)]
        );
        for (signature, verifies) in [(disabled, false), (destroyed, false), (enabled, true)] {
            let bytes = signature.to_tink().expect("a key id");
            assert_eq!(tink_verifies(&keys.file(), DATA, &bytes), verifies);
        }
    }
}
