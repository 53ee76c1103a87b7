//! Encrypts and decrypts payloads without a Temporal client.
//!
//! `cargo run --example by_hand -- KEYRING_FOLDER`

use std::{env, error::Error};

use temporal_kms_codec::{Codec, Namespace, Payload, kms::local::LocalKeyring};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A local keyring is for development. In production, open a key of a key service with `kms::open`.
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let keyring = LocalKeyring::open(folder);

    let codec = Codec::builder(Namespace::new("default")?)
        .encrypt_with(keyring.key_or_create("payloads")?)
        // The context is stored in the clear. A payload opens only where its context is the same.
        .context("environment", "production")
        .build()?;

    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: b"\"my secret\"".to_vec(),
        ..Payload::default()
    };
    let encrypted = codec.encode(vec![payload.clone()]).await?;
    for (name, value) in encrypted.iter().flat_map(|payload| &payload.metadata) {
        println!("{name}: {} bytes", value.len());
    }

    let decrypted = codec.decode(encrypted).await?;
    if decrypted != [payload] {
        return Err("the payload is another one".into());
    }
    // One data key serves many payloads, so the key service is called rarely.
    println!("wrapped data keys: {}", codec.stats().wraps);
    Ok(())
}
