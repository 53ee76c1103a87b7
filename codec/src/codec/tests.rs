//! The codec over local keys.

mod attack;
mod confusion;
mod keys;
mod layers;
mod policy;
mod round_trips;
mod sealed_already;

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    CodecBuilder, ConfigurationError, Dek, EncryptionContext, KeyUri, Payload, PayloadError,
    PayloadExt as _, PlaintextPolicy, RequiredContext, WrappedDek,
    kms::{KeyDescription, KeyProvider, ProviderError, ProviderErrorKind, local::LocalKeyring},
};

fn keyring() -> (TempDir, LocalKeyring) {
    let folder = TempDir::new().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    (folder, keyring)
}

fn builder(namespace: &str) -> CodecBuilder {
    Codec::builder(Namespace::new(namespace).unwrap())
}

fn payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: text.as_bytes().to_vec(),
        external_payloads: vec![],
    }
}

fn payloads(count: usize) -> Vec<Payload> {
    (0..count)
        .map(|n| payload(&format!("\"secret {n}\"")))
        .collect()
}

async fn seal(codec: &Codec, text: &str) -> Payload {
    codec.encode(vec![payload(text)]).await.unwrap().remove(0)
}

/// Every format.
const FORMATS: [Format; 3] = [Format::Envelope, Format::EnvelopeV1, Format::Direct];

fn foreign_namespace(found: Option<&str>, expected: &str) -> PayloadError {
    PayloadError::ForeignNamespace {
        found: found.map(str::to_owned),
        expected: expected.to_owned(),
    }
}

fn key_not_allowed(key: &str) -> PayloadError {
    PayloadError::KeyNotAllowed {
        key: key.to_owned(),
    }
}

async fn refusal(codec: &Codec, payload: Payload) -> PayloadError {
    match codec.decode(vec![payload]).await {
        Err(Error::Payload(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A key behind which calls are counted and fail when told to.
#[derive(Debug)]
struct Watched {
    key: Arc<dyn KeyProvider>,
    calls: AtomicUsize,
    failure: parking_lot::Mutex<Option<ProviderErrorKind>>,
    failure_of_opening: parking_lot::Mutex<Option<ProviderErrorKind>>,
    /// The only context that may be used, and no description.
    granted: parking_lot::Mutex<Option<EncryptionContext>>,
    latency: Duration,
}

impl Watched {
    fn new(key: Arc<dyn KeyProvider>) -> Arc<Self> {
        Self::with_latency(key, Duration::ZERO)
    }

    fn with_latency(key: Arc<dyn KeyProvider>, latency: Duration) -> Arc<Self> {
        Arc::new(Self {
            key,
            calls: AtomicUsize::new(0),
            failure: parking_lot::Mutex::new(None),
            failure_of_opening: parking_lot::Mutex::new(None),
            granted: parking_lot::Mutex::new(None),
            latency,
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    fn fail(&self, kind: impl Into<Option<ProviderErrorKind>>) {
        *self.failure.lock() = kind.into();
    }

    /// Fails to unwrap and decrypt only: a caller that may only encrypt.
    fn fail_opening(&self, kind: impl Into<Option<ProviderErrorKind>>) {
        *self.failure_of_opening.lock() = kind.into();
    }

    /// Grants data keys under one context, as a strict key policy does.
    fn grant_only(&self, context: EncryptionContext) {
        *self.granted.lock() = Some(context);
    }

    fn check_grant(&self, context: Option<&EncryptionContext>) -> Result<(), ProviderError> {
        let granted = self.granted.lock();
        if granted.is_none() || granted.as_ref() == context {
            return Ok(());
        }
        let kind = ProviderErrorKind::PermissionDenied;
        Err(ProviderError::new(kind, self.key.uri()))
    }

    async fn open(&self) -> Result<(), ProviderError> {
        self.call().await?;
        match *self.failure_of_opening.lock() {
            Some(kind) => Err(ProviderError::new(kind, self.key.uri())),
            None => Ok(()),
        }
    }

    async fn call(&self) -> Result<(), ProviderError> {
        self.calls.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        match *self.failure.lock() {
            Some(kind) => Err(ProviderError::new(kind, self.key.uri())),
            None => Ok(()),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for Watched {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    fn goes_by(&self, key: &KeyUri) -> bool {
        self.key.goes_by(key)
    }

    fn max_wrapped(&self) -> usize {
        self.key.max_wrapped()
    }

    fn min_plaintext(&self) -> usize {
        self.key.min_plaintext()
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.call().await?;
        self.check_grant(Some(context))?;
        self.key.generate_dek(context).await
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.call().await?;
        self.key.wrap(dek, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.open().await?;
        self.key.unwrap(wrapped, context).await
    }

    fn max_plaintext(&self) -> usize {
        self.key.max_plaintext()
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call().await?;
        self.key.encrypt(plaintext).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.open().await?;
        self.key.decrypt(ciphertext).await
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.call().await?;
        self.check_grant(None)?;
        self.key.describe().await
    }
}
