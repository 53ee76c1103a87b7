use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{keyring, mode, says_what_to_do, tink_keyset, write};
use temporal_kms::{ProviderErrorKind as Kind, Signature, SignatureAlgorithm};

const ALGORITHMS: [SignatureAlgorithm; 2] = [
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::Ed25519,
];
const ECDSA: &str = "type.googleapis.com/google.crypto.tink.EcdsaPrivateKey";
const ED25519: &str = "type.googleapis.com/google.crypto.tink.Ed25519PrivateKey";

#[tokio::test]
async fn signs_and_verifies_with_each_algorithm() {
    for algorithm in ALGORITHMS {
        let (_folder, keyring) = keyring();
        let key = keyring.signing_key_or_create("s", algorithm).unwrap();
        assert_eq!(mode(&keyring.folder.join("s.json")), 0o600);

        let signature = key.sign(b"data").await.unwrap();
        assert_eq!(signature.algorithm, algorithm);
        assert!(key.verify(b"data", &signature).await.unwrap());
        assert!(!key.verify(b"Data", &signature).await.unwrap());
        for position in 0..signature.bytes.len() {
            let mut flipped = signature.clone();
            flipped.bytes[position] ^= 1;
            assert!(!key.verify(b"data", &flipped).await.unwrap(), "{position}");
        }
        let offline = key.public_key(None).await.unwrap();
        assert!(offline.verify(b"data", &signature));

        let again = keyring.signing_key("s").unwrap();
        assert!(again.verify(b"data", &signature).await.unwrap());
    }
}

#[tokio::test]
async fn another_key_or_algorithm_is_false() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| {
        keyring
            .signing_key_or_create(name, SignatureAlgorithm::EcdsaP256Sha256)
            .unwrap()
    });
    let signature = a.sign(b"data").await.unwrap();
    assert!(!b.verify(b"data", &signature).await.unwrap());
    let renamed = signature.clone().with_key(b.uri().clone());
    assert!(!b.verify(b"data", &renamed).await.unwrap());
    let other_algorithm = signature.with_algorithm(SignatureAlgorithm::Ed25519);
    assert!(!a.verify(b"data", &other_algorithm).await.unwrap());
}

#[tokio::test]
async fn after_a_rotation_old_signatures_verify_until_their_key_is_disabled() {
    let (_folder, keyring) = keyring();
    let key = keyring
        .signing_key_or_create("s", SignatureAlgorithm::Ed25519)
        .unwrap();
    let old = key.sign(b"data").await.unwrap();
    let id = keyring.rotate("s").unwrap();
    let new = key.sign(b"data").await.unwrap();
    assert_eq!(new.version, Some(id.to_string()));
    assert_eq!(new.algorithm, SignatureAlgorithm::Ed25519);
    assert!(key.verify(b"data", &old).await.unwrap());

    let version = old.version.clone().unwrap();
    keyring
        .change(key.uri(), |keyset| keyset.disable(&version))
        .unwrap();
    let error = key.verify(b"data", &old).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyDisabled);
}

#[tokio::test]
async fn a_keyset_serves_its_own_purpose_only() {
    let (_folder, keyring) = keyring();
    keyring.key_or_create("aead").unwrap();
    keyring
        .signing_key_or_create("sign", SignatureAlgorithm::EcdsaP256Sha256)
        .unwrap();
    for error in [
        keyring.key("sign").unwrap_err(),
        keyring.signing_key("aead").unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().contains("another purpose"), "{error}");
    }
}

#[test]
fn reads_and_writes_tinks_prefix() {
    let signature = Signature::new(
        "local://s".parse().unwrap(),
        SignatureAlgorithm::Ed25519,
        vec![9; 64],
    )
    .with_version(Some("258".into()));
    let tink = signature.to_tink().unwrap();
    assert_eq!(tink[..6], [1, 0, 0, 1, 2, 9]);
    let read = |tink: &[u8]| {
        Signature::from_tink(signature.key.clone(), SignatureAlgorithm::Ed25519, tink)
    };
    assert_eq!(read(&tink), Some(signature.clone()));
    assert_eq!(read(&tink[..4]), None);
    assert_eq!(read(&[0, 0, 0, 1, 2, 9]), None);
    let elsewhere = signature.with_version(Some("projects/p".into()));
    assert_eq!(elsewhere.to_tink(), None);
}

#[test]
fn refuses_each_broken_signing_key_with_what_is_wrong() {
    let (_folder, keyring) = keyring();
    // In all these keys the public half is missing or does not match the private half.
    let point = [&[0x1A, 32][..], &[7; 32], &[0x22, 32], &[8; 32]].concat();
    let ecdsa = |params: &[u8], secret: &[u8]| {
        let public = [&[0x12, u8::try_from(params.len()).unwrap()], params, &point].concat();
        let length = u8::try_from(public.len()).unwrap();
        let key = [&[0x12, length][..], &public, &[0x1A, 32], secret].concat();
        STANDARD.encode(key)
    };
    let good = [8, 3, 16, 2, 24, 2];
    let ed25519 = [&[0x12, 32][..], &[5; 32], &[0x1A, 34, 0x12, 32], &[6; 32]].concat();
    let cases = [
        (
            "foreign",
            ECDSA,
            ecdsa(&good, &[5; 32]),
            "not that of its private key",
        ),
        (
            "zero",
            ECDSA,
            ecdsa(&good, &[0; 32]),
            "not a scalar of P-256",
        ),
        (
            "curve",
            ECDSA,
            ecdsa(&[8, 3, 16, 3, 24, 2], &[5; 32]),
            "only ECDSA on NIST_P256",
        ),
        (
            "hash",
            ECDSA,
            ecdsa(&[8, 4, 16, 2, 24, 2], &[5; 32]),
            "only ECDSA on NIST_P256",
        ),
        (
            "p1363",
            ECDSA,
            ecdsa(&[8, 3, 16, 2, 24, 1], &[5; 32]),
            "only ECDSA on NIST_P256",
        ),
        (
            "nopublic",
            ECDSA,
            STANDARD.encode([0x1A, 1, 5]),
            "no public key",
        ),
        (
            "noproto",
            ECDSA,
            "/////w==".into(),
            "not an EcdsaPrivateKey message",
        ),
        (
            "edforeign",
            ED25519,
            STANDARD.encode(&ed25519),
            "not that of its private key",
        ),
        (
            "edshort",
            ED25519,
            STANDARD.encode([0x12, 1, 5, 0x1A, 0]),
            "256 bits",
        ),
        (
            "edproto",
            ED25519,
            "/////w==".into(),
            "not an Ed25519PrivateKey message",
        ),
    ];
    for (name, type_url, value, text) in cases {
        write(
            &keyring,
            name,
            &tink_keyset("ENABLED", "TINK", type_url, &value),
            0o600,
        );
        let error = keyring.signing_key(name).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
        says_what_to_do(&error);
        assert!(!format!("{error}{error:?}").contains(&value), "{name}");
    }
}

#[test]
fn a_missing_key_is_created_for_signing() {
    let (_folder, keyring) = keyring();
    let path = keyring.folder.display().to_string();
    let create = format!("codec-server keys create local://s --purpose sign-p256 --keyring {path}");
    let error = keyring.signing_key("s").unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
    assert_eq!(
        error.to_string(),
        format!("no keyring {path}; create it with its key: {create}")
    );
    keyring.key_or_create("other").unwrap();
    assert_eq!(
        keyring.signing_key("s").unwrap_err().to_string(),
        format!("no key local://s in {path}; create it: {create}")
    );
}
