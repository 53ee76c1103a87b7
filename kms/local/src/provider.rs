//! Wrapping and encrypting with a keyset.

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    keyset::{KeysetError, OpenError},
    watched::WatchedKeyset,
};
use temporal_kms::{
    Dek, EncryptionContext, KeyDescription, KeyProvider, KeyPurpose, KeyUri, Protection,
    ProviderError, ProviderErrorKind as Kind, WrappedDek,
};

/// The same limit as at Cloud KMS, so that code that works in development works there.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// A keyset that encrypts.
#[derive(Debug)]
pub(super) struct LocalKey(WatchedKeyset);

impl LocalKey {
    pub(super) fn new(keyset: WatchedKeyset) -> Result<Self, ProviderError> {
        match keyset.keyset()?.purpose() {
            Ok(KeyPurpose::Encrypt) => Ok(Self(keyset)),
            Ok(_) => Err(keyset.error(&KeysetError::WrongPurpose("they sign"))),
            Err(error) => Err(keyset.error(&error)),
        }
    }

    fn seal(&self, plaintext: &[u8], additional: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.0
            .keyset()?
            .seal(plaintext, additional)
            .map_err(|error| self.0.error(&error))
    }

    fn open(&self, sealed: &[u8], additional: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.0
            .keyset()?
            .open(sealed, additional)
            .map_err(|error| match error {
                OpenError::Disabled(id) => self
                    .error(Kind::KeyDisabled)
                    .with_detail(format!("key {id} of the keyset")),
                OpenError::UnknownKey(id) => self.error(Kind::KeyVersionGone).with_detail(format!(
                    "the keyset has no key {id}, which the ciphertext names; it may be destroyed"
                )),
                OpenError::NotAuthentic => self.error(Kind::InvalidCiphertext),
            })
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, self.0.uri())
    }
}

#[async_trait]
impl KeyProvider for LocalKey {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.seal(dek.expose(), context.as_bytes())
            .map(WrappedDek::new)
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        let plaintext = self.open(wrapped.as_bytes(), context.as_bytes())?;
        Dek::from_slice(&plaintext).ok_or_else(|| self.error(Kind::InvalidCiphertext))
    }

    fn max_plaintext(&self) -> usize {
        MAX_PLAINTEXT
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(self
                .error(Kind::Misconfigured)
                .with_detail("more than 64 KiB of plaintext; use the format `envelope`"));
        }
        self.seal(plaintext, &[])
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.open(ciphertext, &[])
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        let version = self.0.keyset()?.primary().to_string();
        Ok(KeyDescription::new(
            self.0.uri().clone(),
            version,
            Protection::File,
        ))
    }
}
