//! The policy around every call of a key management service, written once for all services: a deadline, retries, a
//! limit on concurrent calls, a circuit breaker, metrics, spans and an observer. `calls.rs` puts them in order.

mod admin;
mod breaker;
mod metrics;
mod observer;
mod operation;
mod policy;
mod surround;
mod version;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

pub use self::{
    admin::observe_admin,
    metrics::{KmsMetrics, LatencyBucket, MeasuredCall, MetricsSink, OperationMetrics},
    observer::{CallObserver, EndedCall, NoteKept, Outcome},
    operation::Operation,
    policy::CallPolicy,
    version::{VersionUsed, used_version},
};
use self::{operation::Call, surround::Calls};
use crate::{
    ConfigurationError, Dek, EncryptionContext, KeyAdmin, KeyLimits, KeyProvider, KeyUri,
    ProviderError, PublicKey, Signature, Signer, UsableKey, WrappedDek,
};

/// Everything that surrounds the calls of keys: limits, numbers, and an observer.
#[derive(Clone, Debug)]
pub struct CallLayer {
    /// `None` for keys in this process, whose calls need neither deadlines nor retries.
    policy: Option<CallPolicy>,
    metrics: Arc<KmsMetrics>,
    observer: Option<Arc<dyn CallObserver>>,
}

impl CallLayer {
    /// Surrounds calls of a service as `policy` says, and counts them in `metrics`.
    #[must_use]
    pub fn new(policy: &CallPolicy, metrics: &Arc<KmsMetrics>) -> Self {
        Self {
            policy: Some(policy.clone()),
            metrics: metrics.clone(),
            observer: None,
        }
    }

    /// For keys in this process: their calls are counted in `metrics`, and an observer is told of them.
    #[must_use]
    pub fn in_process(metrics: &Arc<KmsMetrics>) -> Self {
        Self {
            policy: None,
            metrics: metrics.clone(),
            observer: None,
        }
    }

    /// Tells `observer` of every call.
    #[must_use]
    pub fn with_observer(mut self, observer: Option<Arc<dyn CallObserver>>) -> Self {
        self.observer = observer;
        self
    }

    /// Surrounds a key.
    ///
    /// # Errors
    /// As [`CallPolicy::check`].
    pub fn key(
        &self,
        key: Arc<dyn KeyProvider>,
    ) -> Result<Arc<dyn KeyProvider>, ConfigurationError> {
        Ok(self.surround(key)?)
    }

    /// Surrounds a signing key.
    ///
    /// # Errors
    /// As [`CallPolicy::check`].
    pub fn signer(&self, key: Arc<dyn Signer>) -> Result<Arc<dyn Signer>, ConfigurationError> {
        Ok(self.surround(key)?)
    }

    /// Surrounds the administration of keys: the observer is told of every change, and of every question for
    /// a key's details.
    #[must_use]
    pub fn admin(&self, admin: Arc<dyn KeyAdmin>) -> Arc<dyn KeyAdmin> {
        match &self.observer {
            Some(observer) => observe_admin(admin, observer.clone()),
            None => admin,
        }
    }

    fn surround<K: ?Sized>(&self, key: Arc<K>) -> Result<Arc<Decorated<K>>, ConfigurationError> {
        if let Some(policy) = &self.policy {
            policy.check()?;
        }
        Ok(Arc::new(Decorated {
            key,
            calls: Calls::new(self.policy.as_ref(), &self.metrics, self.observer.clone()),
        }))
    }
}

impl CallPolicy {
    /// Applies the policy to a key.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn decorate(
        &self,
        key: Arc<dyn KeyProvider>,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<Arc<dyn KeyProvider>, ConfigurationError> {
        CallLayer::new(self, metrics).key(key)
    }

    /// Applies the policy to a signing key.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn decorate_signer(
        &self,
        key: Arc<dyn Signer>,
        metrics: &Arc<KmsMetrics>,
    ) -> Result<Arc<dyn Signer>, ConfigurationError> {
        CallLayer::new(self, metrics).signer(key)
    }
}

/// A key whose calls follow the policy.
struct Decorated<K: ?Sized> {
    key: Arc<K>,
    calls: Calls,
}

impl<K: Send + Sync + ?Sized> Decorated<K> {
    async fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        key: &'a KeyUri,
        attempt: impl Fn(&'a K) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let call = Call { operation, key };
        let attempt = || attempt(&self.key);
        self.calls.make(call, attempt, Outcome::of).await
    }
}

// A method with a default that is missing here would bypass the policy.
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
        self.call(Operation::Wrap, self.uri(), |key| key.wrap(dek, context))
            .await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.call(Operation::Unwrap, self.uri(), |key| {
            key.unwrap(wrapped, context)
        })
        .await
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.call(Operation::Wrap, self.uri(), |key| key.generate_dek(context))
            .await
    }

    fn limits(&self) -> KeyLimits {
        self.key.limits()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        self.call(Operation::Encrypt, self.uri(), |key| {
            key.seal(plaintext, context)
        })
        .await
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call(Operation::Decrypt, self.uri(), |key| {
            key.open(sealed, context)
        })
        .await
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call(Operation::Encrypt, self.uri(), |key| key.encrypt(plaintext))
            .await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call(Operation::Decrypt, self.uri(), |key| {
            key.decrypt(ciphertext)
        })
        .await
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.call(Operation::Describe, self.uri(), |key| key.check_usable())
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Signer for Decorated<dyn Signer> {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        self.call(Operation::Sign, self.uri(), |key| key.sign(data))
            .await
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        self.call(Operation::PublicKey, self.uri(), |key| {
            key.public_key(version)
        })
        .await
    }

    async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        let (operation, key) = (Operation::Verify, self.uri());
        let attempt = || self.key.verify(data, signature);
        let outcome = |answer: &Result<bool, ProviderError>| match answer {
            Ok(false) => Outcome::NotVerified,
            answer => Outcome::of(answer),
        };
        self.calls
            .make(Call { operation, key }, attempt, outcome)
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
