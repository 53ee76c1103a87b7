//! Troubles in place of a service that cannot have them itself.

use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::Arc;
use temporal_kms_codec::{
    Dek, EncryptionContext, KeyUri, WrappedDek,
    kms::{KeyDescription, KeyProvider, ProviderError},
};
use zeroize::Zeroizing;

use crate::conformance::service::Trouble;

/// The trouble of the next calls.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Option<(Trouble, usize)>>);

impl Faults {
    pub(crate) fn set(&self, trouble: Trouble, times: usize) {
        *self.0.lock() = Some((trouble, times));
    }

    pub(crate) fn clear(&self) {
        *self.0.lock() = None;
    }

    fn next(&self) -> Option<Trouble> {
        let mut faults = self.0.lock();
        let (trouble, times) = faults.as_mut()?;
        *times = times.checked_sub(1)?;
        Some(*trouble)
    }
}

/// A key of the real service, unless there is a trouble.
#[derive(Debug)]
pub(crate) struct Faulty {
    key: Arc<dyn KeyProvider>,
    faults: Arc<Faults>,
}

impl Faulty {
    pub(crate) fn new(key: Arc<dyn KeyProvider>, faults: Arc<Faults>) -> Self {
        Self { key, faults }
    }

    async fn suffer(&self) -> Result<(), ProviderError> {
        match self.faults.next() {
            None => Ok(()),
            Some(Trouble::Slow) => std::future::pending().await,
            Some(trouble) => Err(ProviderError::new(trouble.kind(), self.uri())),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for Faulty {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    fn goes_by(&self, key: &KeyUri) -> bool {
        self.key.goes_by(key)
    }

    fn max_wrapped(&self) -> usize {
        self.key.max_wrapped()
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.suffer().await?;
        self.key.wrap(dek, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.suffer().await?;
        self.key.unwrap(wrapped, context).await
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.suffer().await?;
        self.key.generate_dek(context).await
    }

    fn min_plaintext(&self) -> usize {
        self.key.min_plaintext()
    }

    fn max_plaintext(&self) -> usize {
        self.key.max_plaintext()
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.suffer().await?;
        self.key.encrypt(plaintext).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.suffer().await?;
        self.key.decrypt(ciphertext).await
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.suffer().await?;
        self.key.describe().await
    }
}
