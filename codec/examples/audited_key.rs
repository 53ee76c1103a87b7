//! A key around another key: it writes a line for each data key that is unwrapped, and lets the other key do the work.
//!
//! The example `own_key_service` has a provider that does the work itself.
//!
//! `cargo run --example audited_key -- KEYRING_FOLDER`

use std::{env, error::Error, sync::Arc};

use async_trait::async_trait;
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, KeyUri, Namespace, Payload, WrappedDek,
    kms::{KeyLimits, KeyProvider, ProviderError, UsableKey, local::LocalKeyring},
};
use zeroize::Zeroizing;

#[derive(Debug)]
struct Audited(Arc<dyn KeyProvider>);

// Some methods have a default. A wrapper must pass on every method, or it changes how the key behaves.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for Audited {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    fn is_alias_of(&self, key: &KeyUri) -> bool {
        self.0.is_alias_of(key)
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.0.wrap(dek, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        println!("unwrap with {} under {context:?}", self.uri());
        self.0.unwrap(wrapped, context).await
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.0.generate_dek(context).await
    }

    fn limits(&self) -> KeyLimits {
        self.0.limits()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        self.0.seal(plaintext, context).await
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.0.open(sealed, context).await
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.0.encrypt(plaintext).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.0.decrypt(ciphertext).await
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.0.check_usable().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder for the keys")?;
    let key = LocalKeyring::open(folder).key_or_create("payloads")?;
    let codec = Codec::builder(Namespace::new("default")?)
        .encrypt_with(Arc::new(Audited(key)))
        .build()?;

    let payload = Payload {
        data: b"\"my secret\"".to_vec(),
        ..Payload::default()
    };
    let encrypted = codec.encode(vec![payload.clone()]).await?;
    if codec.decode(encrypted).await? != [payload] {
        return Err("the payload is another one".into());
    }
    Ok(())
}
