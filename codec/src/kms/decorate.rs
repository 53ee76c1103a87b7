//! What surrounds every call of a key management service, written once for all services: a deadline, retries, a limit on
//! concurrent calls, a circuit breaker, numbers and spans.
//!
//! From the outside in:
//!
//! ```text
//! observe → total deadline → circuit breaker → retry → concurrency limit → deadline of one attempt → the service
//! ```

mod breaker;
mod deadline;
mod limit;
mod metrics;
mod observe;
mod retry;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

pub use self::metrics::{KmsMetrics, OperationMetrics};
use self::{breaker::Breaker, deadline::Deadline, limit::Limit, observe::Observe, retry::Retry};
use super::{KeyDescription, KeyProvider, ProviderError, PublicKey, Signature, Signer};
use crate::{
    ConfigurationError, Dek, EncryptionContext, KeyUri, WrappedDek,
    clock::{Clock, SystemClock},
};

/// How calls of a key management service are surrounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPolicy {
    /// The longest that one attempt may take. Default: 3 seconds.
    pub attempt_timeout: Duration,
    /// The longest that a call may take with all its attempts. Default: 10 seconds.
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
    /// Transient failures in a row after which calls fail without being made. Default: 5.
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

    /// # Errors
    /// When a time or a number is zero.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let zero = [self.attempt_timeout, self.total_timeout, self.breaker_pause]
            .iter()
            .any(Duration::is_zero)
            || [self.max_attempts, self.breaker_failures].contains(&0)
            || self.max_concurrent == 0;
        if zero {
            return Err(ConfigurationError::invalid(
                "KMS calls",
                "times, attempts, concurrent calls and failures must be more than zero",
            ));
        }
        Ok(())
    }

    /// Surrounds a key.
    #[must_use]
    pub fn decorate(
        &self,
        key: Arc<dyn KeyProvider>,
        metrics: &Arc<KmsMetrics>,
    ) -> Arc<dyn KeyProvider> {
        self.surround(key, metrics)
    }

    /// Surrounds a signing key.
    #[must_use]
    pub fn decorate_signer(
        &self,
        key: Arc<dyn Signer>,
        metrics: &Arc<KmsMetrics>,
    ) -> Arc<dyn Signer> {
        self.surround(key, metrics)
    }

    fn surround<K: Key + ?Sized + 'static>(
        &self,
        key: Arc<K>,
        metrics: &Arc<KmsMetrics>,
    ) -> Arc<Decorated<K>> {
        self.surround_with(key, metrics, Arc::new(SystemClock))
    }

    fn surround_with<K: Key + ?Sized + 'static>(
        &self,
        key: Arc<K>,
        metrics: &Arc<KmsMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Decorated<K>> {
        let layers = Observe {
            metrics: metrics.clone(),
            clock: clock.clone(),
            inner: Deadline {
                limit: self.total_timeout,
                inner: Breaker::new(
                    self.breaker_failures,
                    self.breaker_pause,
                    clock,
                    Retry {
                        max_attempts: self.max_attempts,
                        base_delay: self.base_delay,
                        max_delay: self.max_delay,
                        metrics: metrics.clone(),
                        inner: Limit::new(
                            self.max_concurrent,
                            Deadline {
                                limit: self.attempt_timeout,
                                inner: Direct,
                            },
                        ),
                    },
                ),
            },
        };
        Arc::new(Decorated { key, layers })
    }
}

type Layers = Observe<Deadline<Breaker<Retry<Limit<Deadline<Direct>>>>>>;

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

/// One call on its way through the layers.
#[derive(Clone, Copy)]
struct Call<'a> {
    operation: Operation,
    key: &'a KeyUri,
}

/// A layer around calls. `attempt` makes the call; a layer may run it any number of times.
trait Around: Send + Sync {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>>;
}

type Attempt<'a, T> = &'a (dyn Fn() -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync + 'a);

/// The innermost layer: the service itself.
struct Direct;

impl Around for Direct {
    fn call<'a, T: Send + 'a>(
        &'a self,
        _: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        attempt()
    }
}

/// Anything at a service that has a name.
trait Key: Send + Sync + fmt::Debug {
    fn key_uri(&self) -> &KeyUri;
}

impl Key for dyn KeyProvider {
    fn key_uri(&self) -> &KeyUri {
        self.uri()
    }
}

impl Key for dyn Signer {
    fn key_uri(&self) -> &KeyUri {
        self.uri()
    }
}

/// A key and the layers around its calls.
struct Decorated<K: ?Sized> {
    key: Arc<K>,
    layers: Layers,
}

impl<K: Key + ?Sized> Decorated<K> {
    async fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        attempt: impl Fn(&'a K) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let call = Call {
            operation,
            key: self.key.key_uri(),
        };
        self.layers.call(call, &|| attempt(&self.key)).await
    }
}

#[async_trait]
impl KeyProvider for Decorated<dyn KeyProvider> {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    fn goes_by(&self, key: &KeyUri) -> bool {
        self.key.goes_by(key)
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

impl<K: Key + ?Sized> fmt::Debug for Decorated<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.key, f)
    }
}

#[cfg(test)]
mod tests;
