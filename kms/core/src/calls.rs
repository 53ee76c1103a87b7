//! What surrounds every call of a key management service, written once for all services: a deadline, retries, a limit on
//! concurrent calls, a circuit breaker, numbers and spans. `calls.rs` puts them in their order.

mod breaker;
mod metrics;
mod surround;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

pub use self::metrics::{KmsMetrics, OperationMetrics};
use self::surround::{Call, Calls};
use super::{KeyDescription, KeyProvider, ProviderError, PublicKey, Signature, Signer};
use crate::{ConfigurationError, Dek, EncryptionContext, KeyUri, WrappedDek};

/// The longest time in a policy: a call that takes a day is given up by everybody else.
const LONGEST: Duration = Duration::from_hours(24);

/// How calls of a key management service are surrounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPolicy {
    /// The longest that one attempt may take. At most the total time. Default: 3 seconds.
    pub attempt_timeout: Duration,
    /// The longest that a call may take with all its attempts. It ends attempts that do not fit. Default: 10 seconds.
    pub total_timeout: Duration,
    /// Attempts of one call; only transient failures are followed by another. Default: 4.
    pub max_attempts: u32,
    /// The wait before the second attempt is random up to this, and up to twice as much before each further one.
    /// Default: 100 milliseconds.
    pub base_delay: Duration,
    /// The longest wait between attempts. Default: 2 seconds.
    pub max_delay: Duration,
    /// Calls of one key at the same time; further ones wait. Default: 32.
    pub max_concurrent: usize,
    /// Calls in a row that fail transiently, with all their attempts, until calls fail without being made. Default: 5.
    pub breaker_failures: u32,
    /// How long that lasts until one call is let through as a probe. Default: 10 seconds.
    pub breaker_pause: Duration,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            max_attempts: 4,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(2),
            max_concurrent: 32,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

impl CallPolicy {
    /// One attempt and no circuit breaker, so that each call shows how the service answers: for diagnosis.
    #[must_use]
    pub fn once() -> Self {
        Self {
            max_attempts: 1,
            breaker_failures: u32::MAX,
            ..Self::default()
        }
    }

    /// Checks that calls can work with these limits.
    ///
    /// # Errors
    /// When a time or a number is zero, a time is longer than a day, or an attempt may take longer than the whole call.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("KMS calls", reason));
        let times = [self.attempt_timeout, self.total_timeout, self.breaker_pause];
        let is_zero = times.iter().any(Duration::is_zero)
            || [self.max_attempts, self.breaker_failures].contains(&0)
            || self.max_concurrent == 0;
        if is_zero {
            return invalid(
                "times, attempts, concurrent calls and failures must be more than zero",
            );
        }
        let delays = [self.base_delay, self.max_delay];
        if times.iter().chain(&delays).any(|time| *time > LONGEST) {
            return invalid("no time may be longer than a day");
        }
        if self.attempt_timeout > self.total_timeout {
            return invalid("one attempt must not take longer than the whole call");
        }
        Ok(())
    }

    /// Surrounds a key.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn decorate(
        &self,
        key: Arc<dyn KeyProvider>,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<Arc<dyn KeyProvider>, ConfigurationError> {
        Ok(self.surround(key, metrics)?)
    }

    /// Surrounds a signing key.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn decorate_signer(
        &self,
        key: Arc<dyn Signer>,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<Arc<dyn Signer>, ConfigurationError> {
        Ok(self.surround(key, metrics)?)
    }

    fn surround<K: ?Sized>(
        &self,
        key: Arc<K>,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<Arc<Decorated<K>>, ConfigurationError> {
        self.check()?;
        Ok(Arc::new(Decorated {
            key,
            calls: Calls::new(self, metrics),
        }))
    }
}

/// What is called: the name in metrics and spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A data key is wrapped, or generated and wrapped.
    Wrap,
    /// A data key is unwrapped.
    Unwrap,
    /// A payload is encrypted in direct mode.
    Encrypt,
    /// A payload is decrypted in direct mode.
    Decrypt,
    /// The key's state is asked for.
    Describe,
    /// Data are signed.
    Sign,
    /// A public key is fetched.
    PublicKey,
    /// A signature is verified by the service.
    Verify,
}

impl Operation {
    /// The name in metrics and spans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Describe => "describe",
            Self::Sign => "sign",
            Self::PublicKey => "public_key",
            Self::Verify => "verify",
        }
    }
}

/// A key whose calls are surrounded.
struct Decorated<K: ?Sized> {
    key: Arc<K>,
    calls: Calls,
}

impl Decorated<dyn KeyProvider> {
    async fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        attempt: impl Fn(&'a dyn KeyProvider) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let key = self.key.uri();
        let call = Call { operation, key };
        self.calls.make(call, || attempt(&*self.key)).await
    }
}

impl Decorated<dyn Signer> {
    async fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        attempt: impl Fn(&'a dyn Signer) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let key = self.key.uri();
        let call = Call { operation, key };
        self.calls.make(call, || attempt(&*self.key)).await
    }
}

// A method with a default that is missing here would pass by everything that surrounds the calls.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for Decorated<dyn KeyProvider> {
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
        self.call(Operation::Wrap, |key| key.wrap(dek, context))
            .await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.call(Operation::Unwrap, |key| key.unwrap(wrapped, context))
            .await
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.call(Operation::Wrap, |key| key.generate_dek(context))
            .await
    }

    fn max_wrapped(&self) -> usize {
        self.key.max_wrapped()
    }

    fn min_plaintext(&self) -> usize {
        self.key.min_plaintext()
    }

    fn max_plaintext(&self) -> usize {
        self.key.max_plaintext()
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call(Operation::Encrypt, |key| key.encrypt(plaintext))
            .await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call(Operation::Decrypt, |key| key.decrypt(ciphertext))
            .await
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.call(Operation::Describe, |key| key.describe()).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Signer for Decorated<dyn Signer> {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        self.call(Operation::Sign, |key| key.sign(data)).await
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        self.call(Operation::PublicKey, |key| key.public_key(version))
            .await
    }

    async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        self.call(Operation::Verify, |key| key.verify(data, signature))
            .await
    }
}

impl<K: fmt::Debug + ?Sized> fmt::Debug for Decorated<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.key, f)
    }
}

#[cfg(test)]
mod tests;
