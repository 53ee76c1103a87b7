//! Signing keys at the emulator.

use std::time::Duration;

use temporal_kms_codec::kms::{ProviderErrorKind as Kind, SignatureAlgorithm};

use crate::common::{Cloud, kind, uri};

#[tokio::test]
async fn signs_and_verifies_with_and_without_the_service() {
    let cloud = Cloud::start().await;
    let signer = cloud.signer("s").await;
    let signature = signer.sign(b"data").await.unwrap();
    assert_eq!(signature.key, uri("s"));
    assert_eq!(signature.version.as_deref(), Some("1"));
    assert_eq!(signature.algorithm, SignatureAlgorithm::EcdsaP256Sha256);
    assert!(signer.verify(b"data", &signature).await.unwrap());
    assert!(!signer.verify(b"Data", &signature).await.unwrap());

    let public = signer.public_key(None).await.unwrap();
    assert!(public.verify(b"data", &signature));
    let mut flipped = signature.clone();
    *flipped.bytes.last_mut().unwrap() ^= 1;
    assert!(!public.verify(b"data", &flipped));
    let mut other = signature.clone();
    other.algorithm = SignatureAlgorithm::Ed25519;
    assert!(!signer.verify(b"data", &other).await.unwrap());
    let foreign = cloud.signer("s2").await;
    assert!(!foreign.verify(b"data", &signature).await.unwrap());
}

#[tokio::test]
async fn the_newest_enabled_version_signs() {
    let cloud = Cloud::start().await;
    let (signer, admin) = (cloud.signer("s").await, cloud.admin().await);
    let first = signer.sign(b"data").await.unwrap();
    for _ in 0..10 {
        admin.rotate(&uri("s")).await.unwrap();
    }
    let versions = admin.versions(&uri("s")).await.unwrap();
    assert_eq!(versions[0].id, "11", "numbers, not text: newer than 9");

    let fresh = cloud.options.signer(&uri("s")).await.unwrap();
    let newest = fresh.sign(b"data").await.unwrap();
    assert_eq!(newest.version.as_deref(), Some("11"));
    assert!(
        fresh.verify(b"data", &first).await.unwrap(),
        "older versions verify"
    );

    // Disabled while it is known as the newest one.
    admin.disable(&uri("s"), Some("11")).await.unwrap();
    let next = fresh.sign(b"data").await.unwrap();
    assert_eq!(next.version.as_deref(), Some("10"));

    for version in &versions {
        let destroyed = admin.destroy(&uri("s"), Some(&version.id)).await.unwrap();
        assert!(destroyed.is_some());
    }
    assert_eq!(kind(fresh.sign(b"data").await), Kind::KeyDisabled);
}

#[tokio::test]
async fn the_newest_version_is_looked_up_again_after_a_while() {
    let cloud = Cloud::start().await;
    let (signer, admin) = (cloud.signer("s").await, cloud.admin().await);
    let lists = || {
        let calls = cloud.emulator.calls();
        calls
            .iter()
            .filter(|call| call.rpc == "ListCryptoKeyVersions")
            .count()
    };
    for _ in 0..3 {
        signer.sign(b"data").await.unwrap();
    }
    assert_eq!(lists(), 1);
    admin.rotate(&uri("s")).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(6)).await;
    tokio::time::resume();
    let signature = signer.sign(b"data").await.unwrap();
    assert_eq!(signature.version.as_deref(), Some("2"));
    assert_eq!(lists(), 2);
}

#[tokio::test]
async fn a_public_key_is_fetched_once_for_each_version() {
    let cloud = Cloud::start().await;
    let signer = cloud.signer("s").await;
    let signature = signer.sign(b"data").await.unwrap();
    for _ in 0..3 {
        assert!(signer.verify(b"data", &signature).await.unwrap());
    }
    let calls = cloud.emulator.calls();
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.rpc == "GetPublicKey")
            .count(),
        1
    );
    for version in ["9", "x/y"] {
        let error = signer.public_key(Some(version)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::KeyNotFound);
        assert!(!error.is_key_missing(), "{error}");
    }
}
