//! Workers that run signed requests only.

use crate::support::{Rig, end, fresh, scripted::Scripted};
use integration_tests::Keyring;
use serde_json::json;
use std::{fs, path::PathBuf};
use temporal_kms_codec::kms::{KeyPurpose, KeySpec, Kms};

/// Creates a signing key in the keyring. Returns the file with its public key.
pub(crate) async fn signing_key(keyring: &Keyring, name: &str) -> PathBuf {
    let kms = Kms::builder().local_keyring(keyring.folder()).build();
    let key = format!("local://{name}").parse().unwrap();
    let admin = kms.admin(&key).await.unwrap();
    let spec = KeySpec::new(KeyPurpose::SignP256);
    admin.create(&key, &spec).await.unwrap();
    let public = kms
        .signer(&key)
        .await
        .unwrap()
        .public_key(None)
        .await
        .unwrap();
    let file = keyring.folder().join(format!("{name}.pem"));
    fs::write(&file, public.to_pem().unwrap()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_public_key_runs_only_what_the_key_signed() {
    let scripted = Scripted::of(Rig::new().await);
    let accepted = signing_key(scripted.rig.keyring(), "accepted").await;
    let _other = signing_key(scripted.rig.keyring(), "other").await;
    let _worker = scripted.worker(&["--request-key", accepted.to_str().unwrap()]);
    let request =
        json!({"prompt": "go", "anthropicApiKey": "sk-ant-signed", "metadata": {"a": 0.1}});
    let submit =
        |arguments: &[&str]| end(&mut scripted.rig.submit(&fresh("task"), &request, arguments));
    let (code, output) = submit(&[]);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("is not signed"), "{output}");
    let (code, output) = submit(&["--sign-with", "local://other"]);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("not one of this request"), "{output}");
    assert_eq!(scripted.runs(), 0);
    let (code, output) = submit(&["--sign-with", "local://accepted"]);
    assert_eq!(code, 0, "{output}");
    let store = scripted.rig.folder.path().join("objects");
    let store = store.to_str().unwrap();
    let (code, output) = submit(&["--sign-with", "local://accepted", "--require-worker"]);
    assert_eq!(code, 0, "{output}");
    assert_eq!(scripted.runs(), 2);
    let (code, output) = submit(&["--sign-with", "local://missing", "--store", store]);
    assert_ne!(code, 0, "{output}");
}
