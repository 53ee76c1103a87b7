//! A key that is only a name, for checks before any key is opened.

use async_trait::async_trait;
use temporal_kms_codec::{
    Dek, EncryptionContext, KeyUri, WrappedDek,
    kms::{KeyDescription, KeyProvider, ProviderError, ProviderErrorKind},
};
use zeroize::Zeroizing;

/// Every operation fails.
#[derive(Debug)]
pub(super) struct Unopened(KeyUri);

impl Unopened {
    pub(super) fn new(key: KeyUri) -> Self {
        Self(key)
    }

    fn refuse<T>(&self) -> Result<T, ProviderError> {
        Err(ProviderError::new(ProviderErrorKind::Unsupported, &self.0))
    }
}

#[async_trait]
impl KeyProvider for Unopened {
    fn uri(&self) -> &KeyUri {
        &self.0
    }

    async fn wrap(&self, _: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        self.refuse()
    }

    async fn unwrap(&self, _: &WrappedDek, _: &EncryptionContext) -> Result<Dek, ProviderError> {
        self.refuse()
    }

    fn max_plaintext(&self) -> usize {
        usize::MAX
    }

    async fn encrypt(&self, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.refuse()
    }

    async fn decrypt(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.refuse()
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.refuse()
    }
}
