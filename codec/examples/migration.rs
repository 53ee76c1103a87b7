//! From plaintext to encryption: old payloads stay readable until their workflows have ended.
//!
//! `cargo run --example migration -- KEYRING_FOLDER`

use std::{env, error::Error};

use temporal_kms_codec::{Codec, Namespace, Payload, PlaintextPolicy, kms::local::LocalKeyring};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let key = LocalKeyring::open(folder).key_or_create("payloads")?;
    let namespace = Namespace::new("default")?;
    let old = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: b"\"written before encryption\"".to_vec(),
        ..Payload::default()
    };

    // Step 1: new payloads are encrypted, and old ones are accepted.
    let migrating = Codec::builder(namespace.clone())
        .encrypt_with(key.clone())
        .plaintext_policy(PlaintextPolicy::Allow)
        .build()?;
    let decoded = migrating.decode(vec![old.clone()]).await?;
    println!("accepted: {}", decoded == [old.clone()]);

    // Step 2, when no history with plaintext is in use: only encrypted payloads are accepted. This is the default.
    let strict = Codec::builder(namespace).encrypt_with(key).build()?;
    match strict.decode(vec![old]).await {
        Ok(_) => Err("plaintext was accepted".into()),
        Err(error) => {
            println!("refused: {error}");
            Ok(())
        }
    }
}
