//! A key for tests, whose service fails as the test says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use temporal_kms_codec::{
    Dek, EncryptionContext, KeyUri, WrappedDek,
    kms::{KeyDescription, KeyProvider, Protection, ProviderError, ProviderErrorKind},
};
use zeroize::Zeroizing;

/// A key whose service fails with `kind` for the first `failures` calls, and only describes the key after that.
#[derive(Debug)]
pub struct FailingKey {
    uri: KeyUri,
    kind: ProviderErrorKind,
    failures: usize,
    /// How long each call takes.
    delay: Duration,
    calls: AtomicUsize,
}

impl FailingKey {
    /// Fails each call at once.
    pub fn always(name: &str, kind: ProviderErrorKind) -> Arc<Self> {
        Self::first(usize::MAX, name, kind)
    }

    pub fn first(failures: usize, name: &str, kind: ProviderErrorKind) -> Arc<Self> {
        Arc::new(Self {
            uri: format!("local://{name}").parse().unwrap(),
            kind,
            failures,
            delay: Duration::ZERO,
            calls: AtomicUsize::new(0),
        })
    }

    /// Fails each call after `delay`.
    pub fn slowly(delay: Duration, name: &str, kind: ProviderErrorKind) -> Arc<Self> {
        Arc::new(Self {
            uri: format!("local://{name}").parse().unwrap(),
            kind,
            failures: usize::MAX,
            delay,
            calls: AtomicUsize::new(0),
        })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    fn error(&self) -> ProviderError {
        ProviderError::new(self.kind, &self.uri)
    }

    async fn call(&self) -> Result<(), ProviderError> {
        let call = self.calls.fetch_add(1, SeqCst);
        tokio::time::sleep(self.delay).await;
        if call < self.failures {
            return Err(self.error());
        }
        Ok(())
    }
}

#[async_trait]
impl KeyProvider for FailingKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn wrap(&self, _: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        self.call().await.and(Err(self.error()))
    }

    async fn unwrap(&self, _: &WrappedDek, _: &EncryptionContext) -> Result<Dek, ProviderError> {
        self.call().await.and(Err(self.error()))
    }

    fn max_plaintext(&self) -> usize {
        0
    }

    async fn encrypt(&self, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call().await.and(Err(self.error()))
    }

    async fn decrypt(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call().await.and(Err(self.error()))
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.call().await?;
        Ok(KeyDescription::new(
            self.uri.clone(),
            "1",
            Protection::Software,
        ))
    }
}
