//! Seals a small value as JSON, and a file of any size.
//!
//! `cargo run --example sealed_files -- KEYRING_FOLDER`

use std::{env, error::Error};

use temporal_kms_codec::{DataEnvelope, EncryptionContext, Sealer, kms::local::LocalKeyring};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let key = LocalKeyring::open(folder).key_or_create("files")?;
    let sealer = Sealer::builder().encrypt_with(key).build()?;

    // What is sealed under a context opens under the same context only. It is not stored with the value.
    let pairs = [("user".to_owned(), "alice".to_owned())];
    let context = EncryptionContext::new(pairs.into())?;
    let json = serde_json::to_string(&sealer.seal(b"4111-1111", &context).await?)?;
    let envelope: DataEnvelope = serde_json::from_str(&json)?;
    let value = sealer.open(&envelope, &context).await?;
    println!("value: {} bytes", value.len());

    // Any reader and writer will do, such as `tokio::fs::File`. A file needs about 200 KiB of memory at any size.
    let backup = vec![7; 1_000_000];
    let mut ciphertext = Vec::new();
    sealer
        .seal_file(&*backup, &mut ciphertext, &context)
        .await?;
    let mut opened = Vec::new();
    // Use the output only when this returns `Ok`. Before that, the end of the file may be missing.
    let len = sealer
        .open_file(&*ciphertext, &mut opened, &context)
        .await?;
    if opened != backup {
        return Err("the file is another one".into());
    }
    println!("file: {len} bytes");
    Ok(())
}
