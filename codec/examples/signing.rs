//! Signs data with a key that never leaves its service, and verifies the signature without the service.
//!
//! `cargo run --example signing -- KEYRING_FOLDER`

use std::{env, error::Error};

use temporal_kms_codec::kms::{SignatureAlgorithm, SignatureVerifier, local::LocalKeyring};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let keyring = LocalKeyring::open(folder);
    let key = keyring.signing_key_or_create("releases", SignatureAlgorithm::EcdsaP256Sha256)?;

    let signature = key.sign(b"release 1.0").await?;
    println!("{} signed with {}", signature.key, signature.algorithm);

    // A verifier needs the public key only. It can be stored in a file.
    let public_key = key.public_key(signature.version.as_deref()).await?;
    if !public_key.verify(b"release 1.0", &signature) {
        return Err("the signature does not verify".into());
    }
    if public_key.verify(b"release 6.6", &signature) {
        return Err("other data verified".into());
    }
    let batch = [
        (&b"release 1.0"[..], &signature),
        (&b"release 6.6"[..], &signature),
    ];
    // The service is asked once for each version in the batch.
    let by_service = SignatureVerifier::new().with_signer(key.clone());
    // Only this version counts, and the service is not asked.
    let version = signature.version.clone();
    let by_public_key =
        SignatureVerifier::new().with_public_key(key.uri().clone(), version, public_key.clone());
    for verifier in [by_service, by_public_key] {
        let mut valid = Vec::new();
        for result in verifier.verify_all(&batch).await {
            valid.push(result?);
        }
        if valid != [true, false] {
            return Err("the batch was not verified".into());
        }
    }
    print!("{}", public_key.to_pem()?);
    Ok(())
}
