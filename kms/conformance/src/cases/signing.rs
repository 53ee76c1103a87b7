//! Signing and verifying.

use temporal_kms::{PublicKey, SignatureAlgorithm};

use crate::suite::Suite;

const DATA: &[u8] = b"what is signed";

/// Signatures verify at the service, and offline with the public key.
pub async fn signs_and_verifies(suite: &Suite) {
    let signer = suite.create_signer("s").await;
    for data in [DATA, b"", &vec![7; 100_000]] {
        let signature = signer.sign(data).await.expect("signed");
        assert_eq!(&signature.key, signer.uri());
        assert_eq!(signature.algorithm, SignatureAlgorithm::EcdsaP256Sha256);
        assert!(signer.verify(data, &signature).await.expect("verified"));

        let version = signature.version.as_deref();
        let public = signer.public_key(version).await.expect("a public key");
        let pem = public.to_pem().expect("PEM");
        let offline = PublicKey::from_pem(&pem).expect("the same key");
        assert!(offline.verify(data, &signature), "without the service");
    }
}

/// Altered signatures, other data and signatures of another key do not verify.
pub async fn what_is_not_signed_is_false(suite: &Suite) {
    let (signer, other) = (
        suite.create_signer("s").await,
        suite.create_signer("other").await,
    );
    let signature = signer.sign(DATA).await.expect("signed");
    let public = signer.public_key(None).await.expect("a public key");

    let mut altered = Vec::new();
    for position in 0..signature.bytes.len() {
        let mut flipped = signature.clone();
        flipped.bytes[position] ^= 1;
        altered.push(flipped);
    }
    for bytes in [vec![], vec![0; 64], vec![0x30; 4096]] {
        let mut foreign = signature.clone();
        foreign.bytes = bytes;
        altered.push(foreign);
    }
    let mut algorithm = signature.clone();
    algorithm.algorithm = SignatureAlgorithm::Ed25519;
    altered.push(algorithm);
    for altered in &altered {
        assert!(!signer.verify(DATA, altered).await.expect("told"));
        assert!(!public.verify(DATA, altered));
    }
    assert!(
        !signer
            .verify(b"other data", &signature)
            .await
            .expect("told")
    );
    assert!(!public.verify(b"other data", &signature));

    assert!(!other.verify(DATA, &signature).await.expect("told"));
    let mut renamed = signature.clone();
    renamed.key = other.uri().clone();
    renamed.version = None;
    assert!(!other.verify(DATA, &renamed).await.expect("told"));
    assert!(signer.verify(DATA, &signature).await.expect("told"));
}
