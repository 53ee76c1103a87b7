use std::sync::Arc;

use temporal_kms_codec::kms::{self, KeyPurpose, KeySpec, PublicKey, SignatureAlgorithm, Signer};

use crate::conformance::service::Bench;

const DATA: &[u8] = b"what is signed";

pub(crate) async fn signs_and_verifies(bench: &Bench) {
    let signer = made(bench, "s").await;
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

pub(crate) async fn what_is_not_signed_is_false(bench: &Bench) {
    let (signer, other) = (made(bench, "s").await, made(bench, "other").await);
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

async fn made(bench: &Bench, name: &str) -> Arc<dyn Signer> {
    let spec = KeySpec {
        purpose: KeyPurpose::SignP256,
        ..KeySpec::default()
    };
    let admin = bench.admin().await;
    let made = admin.create(&bench.uri(name), &spec).await;
    made.expect("a new signing key");
    let signer = kms::open_signer(&bench.uri(name), &bench.options()).await;
    signer.expect("a signing key")
}
