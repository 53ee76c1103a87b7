//! A key service of your own, which a program adds to those of this build: its keys are named `memory://NAME`.
//!
//! `KeyService` has the settings and opens keys. `KeyProvider` seals and opens data keys. Where a real service would be
//! called, this one encrypts in memory. The crate `temporal-kms-conformance` has the tests that each service must pass.
//!
//! `cargo run --example own_key_service`
#![allow(
    clippy::disallowed_types,
    reason = "the cipher is that of a service outside of this project"
)]

use std::{error::Error, fmt, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Generate as _, Nonce, Payload as Message},
};
use async_trait::async_trait;
use hkdf::Hkdf;
use sha2::Sha256;
use temporal_kms_codec::{
    Codec, ConfigurationError, EncryptionContext, KeyUri, Namespace, Payload, Scheme,
    kms::{
        KeyProvider, KeyService, Kms, Protection, ProviderError, ProviderErrorKind as Kind,
        Setting, SettingKind, SettingRow, SettingTable, SettingValue, UsableKey, Variables,
    },
};
use zeroize::Zeroizing;

const SCHEME: Scheme = Scheme::from_static("memory");
const NONCE_LEN: usize = 12;

/// The settings, each once: the variable, and the name in a configuration.
const SETTINGS: SettingTable<MemoryKms> = SettingTable(&[SettingRow::new(
    Setting::new(
        "memory_master",
        SettingKind::Text,
        "The secret from which all keys are derived.",
    )
    .variables(&["MEMORY_MASTER"])
    .secret(),
    |service, value| service.master = value.into_text().map(Zeroizing::new),
)]);

/// The service. Its keys are derived from one secret, so every process with the secret has the same keys.
#[derive(Clone, Default)]
struct MemoryKms {
    master: Option<Zeroizing<String>>,
}

#[async_trait]
impl KeyService for MemoryKms {
    fn scheme(&self) -> Scheme {
        SCHEME
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        let mut service = Self::default();
        SETTINGS.read_variables(&mut service, variable)?;
        Ok(Some(Arc::new(service)))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let service = SETTINGS.changed(self, name, value)?;
        Some(Arc::new(service))
    }

    // A service with calls over a network leaves this out, and gets deadlines and retries.
    fn is_in_process(&self) -> bool {
        true
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        // What happened, and what to do. Other kinds of errors have advice of their own.
        let misconfigured = |detail, remedy| {
            let error = ProviderError::new(Kind::Misconfigured, uri);
            error.with_detail(detail).with_remedy(remedy)
        };
        let master = self.master.as_ref();
        let master =
            master.ok_or_else(|| misconfigured("its secret is missing", "set MEMORY_MASTER"))?;
        let mut key = Zeroizing::new([0_u8; 32]);
        Hkdf::<Sha256>::new(None, master.as_bytes())
            .expand(uri.resource().as_bytes(), &mut *key)
            .map_err(|_| misconfigured("its name is too long", "choose another one"))?;
        let key: &[u8; 32] = &key;
        Ok(Arc::new(MemoryKey {
            uri: uri.clone(),
            cipher: Aes256Gcm::new(key.into()),
        }))
    }
}

/// One key. The methods that are not here have defaults.
struct MemoryKey {
    uri: KeyUri,
    cipher: Aes256Gcm,
}

#[async_trait]
impl KeyProvider for MemoryKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    // The context is the additional data, so bytes that were sealed under one context do not open under another.
    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let failed = |detail| ProviderError::new(Kind::Unavailable, &self.uri).with_detail(detail);
        let nonce = Nonce::<Aes256Gcm>::try_generate()
            .map_err(|_| failed("the operating system gave no randomness"))?;
        let message = Message {
            msg: plaintext,
            aad: context.as_bytes(),
        };
        let sealed = self.cipher.encrypt(&nonce, message);
        let sealed = sealed.map_err(|_| failed("the cipher refused the data key"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    // `sealed` comes from outside. Only what this key has sealed under this context opens.
    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let refused = || ProviderError::new(Kind::InvalidCiphertext, &self.uri);
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(refused)?;
        let message = Message {
            msg: ciphertext,
            aad: context.as_bytes(),
        };
        let opened = self.cipher.decrypt(nonce.into(), message);
        opened.map(Zeroizing::new).map_err(|_| refused())
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        Ok(UsableKey::new(self.uri.clone(), "1", Protection::Software))
    }
}

// No secret is shown.
impl fmt::Debug for MemoryKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKms").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKey")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// A codec with a service of its own, as another process has it. A real program reads the variables with `Kms::builder().with_service(…).variables(…)`.
async fn codec() -> Result<Codec, Box<dyn Error>> {
    let master = SettingValue::Text("a secret of 32 random characters".to_owned());
    let kms = Kms::builder()
        .with_service(MemoryKms::default())
        .setting("memory_master", master)?
        .build();
    let key = kms.key(&"memory://payloads".parse()?).await?;
    let codec = Codec::builder(Namespace::new("default")?);
    Ok(codec.encrypt_with(key).build()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let payload = Payload {
        data: b"\"my secret\"".to_vec(),
        ..Payload::default()
    };
    let encrypted = codec().await?.encode(vec![payload.clone()]).await?;
    for key in encrypted.iter().filter_map(|it| it.metadata.get("kms-key")) {
        println!("the payload names {}", String::from_utf8_lossy(key));
    }
    if codec().await?.decode(encrypted).await? != [payload] {
        return Err("the payload is another one".into());
    }
    println!("another codec opened it");
    Ok(())
}
