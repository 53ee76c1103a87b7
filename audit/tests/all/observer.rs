//! Each call of a key and each change of a key is in the log, with its request.

use std::{sync::Arc, time::Duration};

use temporal_kms::{
    CallLayer, CallObserver, CallPolicy, EncryptionContext, KeyService as _, KeySpec, KmsMetrics,
    ProviderErrorKind, SignatureAlgorithm,
    faulty::{Answer, FaultyKey},
};
use temporal_kms_audit::{AuditLog, within};
use temporal_kms_local::{LocalKeyring, LocalKms};

use crate::support::{options, values, verify};

#[tokio::test]
async fn calls_signatures_and_changes_have_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(&options(folder.path())).unwrap();
    let observer: Arc<dyn CallObserver> = log.clone();
    let layer = CallLayer::in_process(&Arc::default()).with_observer(Some(observer));

    let keys = tempfile::tempdir().unwrap();
    let keyring = keys.path().join("keys");
    let local = LocalKms::default();
    let uri = "local://payloads".parse().unwrap();
    let local = local.with_setting(
        "local_keyring",
        temporal_kms::SettingValue::Path(keyring.clone()),
    );
    let admin = layer.admin(local.unwrap().admin(&uri).await.unwrap());
    admin.create(&uri, &KeySpec::default()).await.unwrap();
    admin.rotate(&uri).await.unwrap();
    assert!(admin.create(&uri, &KeySpec::default()).await.is_err());

    let keyring = LocalKeyring::open(&keyring);
    let key = layer.key(keyring.key("payloads").unwrap()).unwrap();
    let context = EncryptionContext::empty();
    let (_, wrapped) = within("1a2b3c4d", key.generate_dek(&context))
        .await
        .unwrap();
    key.unwrap(&wrapped, &context).await.unwrap();
    let signer = keyring
        .signing_key_or_create("audit", SignatureAlgorithm::Ed25519)
        .unwrap();
    let signer = layer.signer(signer).unwrap();
    let signature = signer.sign(b"top secret").await.unwrap();
    assert!(signer.verify(b"top secret", &signature).await.unwrap());
    assert!(!signer.verify(b"other data", &signature).await.unwrap());
    log.close().await.unwrap();

    assert!(verify(folder.path()).ok);
    let lines = values(folder.path());
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line["operation"].is_string())
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            [
                text("event"),
                text("operation"),
                text("result"),
                text("request"),
            ]
            .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "key create_key ok -",
            "key rotate_key ok -",
            "key create_key already_exists -",
            "kms wrap ok 1a2b3c4d",
            "kms unwrap ok -",
            "kms sign ok -",
            "kms verify ok -",
            "kms verify not_verified -",
        ]
    );
    assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn failed_and_abandoned_calls_have_a_line_and_those_of_an_open_breaker_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(&options(folder.path())).unwrap();
    let observer: Arc<dyn CallObserver> = log.clone();
    let policy = CallPolicy::once().with_breaker_failures(1);
    let layer = CallLayer::new(&policy, &Arc::<KmsMetrics>::default());
    let layer = layer.with_observer(Some(observer));
    let faulty = FaultyKey::new("faulty");
    faulty.next([
        Answer::Stalls,
        Answer::Fails(ProviderErrorKind::PermissionDenied),
        Answer::Fails(ProviderErrorKind::Unavailable),
    ]);
    let key = layer.key(faulty).unwrap();
    let short = Duration::from_millis(1);
    assert!(
        tokio::time::timeout(short, key.encrypt(b"x"))
            .await
            .is_err()
    );
    for _ in 0..5 {
        assert!(key.encrypt(b"x").await.is_err());
    }
    log.close().await.unwrap();
    let lines = values(folder.path());
    let results: Vec<_> = lines
        .iter()
        .filter_map(|line| line["result"].as_str())
        .collect();
    assert_eq!(results, ["given_up", "permission_denied", "unavailable"]);
}

#[tokio::test]
async fn a_call_in_the_background_has_its_line_before_the_log_says_that_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(&options(folder.path())).unwrap();
    let observer: Arc<dyn CallObserver> = log.clone();
    let layer = CallLayer::new(&CallPolicy::once(), &Arc::<KmsMetrics>::default());
    let layer = layer.with_observer(Some(observer));
    let faulty = FaultyKey::new("faulty");
    faulty.next([Answer::Stalls]);
    let key = layer.key(faulty).unwrap();
    let mut call = Box::pin(key.encrypt(b"x"));
    assert!(futures::poll!(&mut call).is_pending());
    let mut close = Box::pin(log.close());
    assert!(futures::poll!(&mut close).is_pending());
    let refused = key.encrypt(b"y").await.unwrap_err();
    assert_eq!(refused.kind(), ProviderErrorKind::Unavailable);
    drop(call);
    close.await.unwrap();
    let lines = values(folder.path());
    let told: Vec<_> = lines
        .iter()
        .map(|line| line["result"].as_str().or(line["event"].as_str()).unwrap())
        .collect();
    // The first line is that of the file.
    assert_eq!(told, ["file", "start", "given_up", "stop"]);
    assert!(lines[3].get("open_calls").is_none());
    assert!(verify(folder.path()).ok);
}
