//! Encrypts for several keys, so that payloads stay readable when one key or one region is lost.
//!
//! `cargo run --example several_recipients -- KEYRING_FOLDER`

use std::{env, error::Error};

use temporal_kms_codec::{Codec, Namespace, Payload, kms::local::LocalKeyring};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let keyring = LocalKeyring::open(folder);
    let (east, west) = (
        keyring.key_or_create("east")?,
        keyring.key_or_create("west")?,
    );
    let namespace = Namespace::new("default")?;

    // Every data key is wrapped by both keys.
    let writer = Codec::builder(namespace.clone())
        .encrypt_with(east)
        .encrypt_with(west.clone())
        .build()?;
    let payload = Payload {
        data: b"\"my secret\"".to_vec(),
        ..Payload::default()
    };
    let encrypted = writer.encode(vec![payload.clone()]).await?;

    // A reader with one of them opens the payload.
    let reader = Codec::builder(namespace).encrypt_with(west).build()?;
    if reader.decode(encrypted).await? != [payload] {
        return Err("the payload is another one".into());
    }
    println!("local://west opened the payload alone");
    Ok(())
}
