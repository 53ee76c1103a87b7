use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use fake_aws_kms::{Fault, KeyState};
use sha2::{Digest as _, Sha256};
use temporal_kms_codec::kms::{ProviderErrorKind as Kind, SignatureAlgorithm};

use super::{HOME, open_signer, options, scripted};

#[tokio::test]
async fn only_the_digest_is_sent_and_signed() {
    let (account, server) = scripted().await;
    let signer = open_signer(&account.signing_key(HOME), options(server.url())).await;
    // Longer than the 4,096 bytes that the service hashes itself.
    let data = vec![3; 10_000];
    let signature = signer.sign(&data).await.unwrap();
    assert_eq!(signature.algorithm, SignatureAlgorithm::EcdsaP256Sha256);
    assert_eq!(&signature.key, signer.uri());

    let call = &server.calls()[0].input;
    assert_eq!(call["MessageType"], "DIGEST");
    assert_eq!(call["Message"], BASE64.encode(Sha256::digest(&data)));
    assert!(signer.verify(&data, &signature).await.unwrap());
}

#[tokio::test]
async fn whatever_was_altered_is_false() {
    let (account, server) = scripted().await;
    let signer = open_signer(&account.signing_key(HOME), options(server.url())).await;
    let other = open_signer(&account.signing_key(HOME), options(server.url())).await;
    let signature = signer.sign(b"data").await.unwrap();
    let key = signer.public_key(None).await.unwrap();
    assert!(key.verify(b"data", &signature), "offline");

    assert!(!signer.verify(b"dat4", &signature).await.unwrap());
    assert!(!other.verify(b"data", &signature).await.unwrap());
    assert!(
        !other
            .public_key(None)
            .await
            .unwrap()
            .verify(b"data", &signature)
    );
    let mut algorithm = signature.clone();
    algorithm.algorithm = SignatureAlgorithm::Ed25519;
    assert!(!signer.verify(b"data", &algorithm).await.unwrap());
    for position in 0..signature.bytes.len() {
        let mut flipped = signature.clone();
        flipped.bytes[position] ^= 1;
        assert!(!key.verify(b"data", &flipped), "{position}");
    }
}

#[tokio::test]
async fn keys_that_cannot_sign_say_why() {
    let (account, server) = scripted().await;
    let arn = account.signing_key(HOME);
    let signer = open_signer(&arn, options(server.url())).await;
    let version = signer.public_key(Some("2")).await.unwrap_err();
    assert_eq!(version.kind(), Kind::KeyNotFound);
    assert!(!version.is_key_missing(), "{version}");

    let symmetric = open_signer(&account.symmetric_key(HOME), options(server.url())).await;
    assert_eq!(
        symmetric.sign(b"x").await.unwrap_err().kind(),
        Kind::Misconfigured
    );

    for fault in [Fault::OtherKey, Fault::Empty, Fault::Garbage] {
        let signer = open_signer(&arn, options(server.url())).await;
        server.fail("*", fault, 2);
        assert_eq!(
            signer.sign(b"x").await.unwrap_err().kind(),
            Kind::Integrity,
            "{fault:?}"
        );
        let error = signer.public_key(None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "{fault:?}");
    }
    account.set_state(&arn, KeyState::Disabled);
    assert_eq!(
        signer.sign(b"x").await.unwrap_err().kind(),
        Kind::KeyDisabled
    );
}

#[tokio::test]
async fn the_public_key_is_fetched_once_for_many_verifications() {
    let (account, server) = scripted().await;
    let arn = account.signing_key(HOME);
    let signer = open_signer(&arn, options(server.url())).await;
    let signature = signer.sign(b"data").await.unwrap();
    for _ in 0..3 {
        assert!(signer.verify(b"data", &signature).await.unwrap());
        assert!(!signer.verify(b"other", &signature).await.unwrap());
    }
    assert_eq!(server.count("GetPublicKey"), 1);

    // An alias may stand for another key after a while.
    account.alias(HOME, "alias/signing", &arn);
    let signer = open_signer("alias/signing", options(server.url())).await;
    let signature = signer.sign(b"data").await.unwrap();
    for _ in 0..2 {
        assert!(signer.verify(b"data", &signature).await.unwrap());
    }
    assert_eq!(server.count("GetPublicKey"), 2);
    account.alias(HOME, "alias/signing", &account.signing_key(HOME));
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(6)).await;
    tokio::time::resume();
    assert!(!signer.verify(b"data", &signature).await.unwrap());
    assert_eq!(server.count("GetPublicKey"), 3);
}
