//! A key service in the network, in simulated time: half of its calls take 40 ms, one of a hundred more than 130 ms.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use temporal_kms::{
    Dek, EncryptionContext, KeyLimits, KeyProvider, KeyUri, ProviderError, UsableKey, WrappedDek,
};
use zeroize::Zeroizing;

/// The median of a call.
const MEDIAN: Duration = Duration::from_millis(40);
/// The spread of a log-normal distribution whose 99th percentile is 130 ms: ln(130 / 40) / 2.326.
const SPREAD: f64 = 0.5067;

/// A key whose calls take time, and are counted.
#[derive(Debug)]
pub(crate) struct SimulatedKms {
    key: Arc<dyn KeyProvider>,
    calls: AtomicU64,
}

impl SimulatedKms {
    pub(crate) fn new(key: Arc<dyn KeyProvider>) -> Self {
        Self {
            key,
            calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    async fn call(&self) {
        let number = self.calls.fetch_add(1, Relaxed);
        tokio::time::sleep(MEDIAN.mul_f64((SPREAD * normal(number)).exp())).await;
    }
}

/// About a normal distribution: twelve numbers from 0 to 1, less their mean. The same in every run.
fn normal(number: u64) -> f64 {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut sum = -6.0;
    for _ in 0..12 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let top = u32::try_from(state >> 32).unwrap_or_default();
        sum += f64::from(top) / f64::from(u32::MAX);
    }
    sum
}

// A method with a default that is missing here would not reach the key's own.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for SimulatedKms {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    fn is_alias_of(&self, key: &KeyUri) -> bool {
        self.key.is_alias_of(key)
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.call().await;
        self.key.wrap(dek, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.call().await;
        self.key.unwrap(wrapped, context).await
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.call().await;
        self.key.generate_dek(context).await
    }

    fn limits(&self) -> KeyLimits {
        self.key.limits()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        self.call().await;
        self.key.seal(plaintext, context).await
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call().await;
        self.key.open(sealed, context).await
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call().await;
        self.key.encrypt(plaintext).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call().await;
        self.key.decrypt(ciphertext).await
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.key.check_usable().await
    }
}
