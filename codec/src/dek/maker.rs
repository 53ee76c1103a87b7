//! Makes data keys: generates them, has every recipient wrap them, and sees that they can be unwrapped again.

use std::{sync::Arc, time::Duration};

use futures::future;

use super::{
    cache::DekCache, cache_key::CacheKey, encrypting_keys::EncryptingKeys,
    expanded_dek::ExpandedDek, limits::DekLimits,
};
use crate::{
    Dek, EncryptionContext, WrappedDek,
    crypto::random,
    kms::{KeyProvider, ProviderError, ProviderErrorKind as Kind},
    stats::Counters,
    types::Recipient,
};
use temporal_kms::support::clock::Clock;

/// The keys that wrap data keys, and what all data keys of a codec have in common.
pub(crate) struct DekMaker {
    recipients: Vec<Arc<dyn KeyProvider>>,
    first: Arc<dyn KeyProvider>,
    cache: Arc<DekCache>,
    pub(super) limits: DekLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    fraction: fn() -> f64,
}

/// A new data key, and how each recipient wrapped it.
pub(super) struct Made {
    pub(super) data_key: Arc<ExpandedDek>,
    pub(super) recipients: Vec<Recipient>,
    /// The age at which the next one should be made.
    pub(super) renew_at: Duration,
}

impl DekMaker {
    pub(crate) fn new(
        keys: &EncryptingKeys,
        limits: DekLimits,
        cache: Arc<DekCache>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            recipients: keys.iter().cloned().collect(),
            first: keys.first.clone(),
            cache,
            limits,
            clock,
            counters,
            fraction: random::fraction,
        }
    }

    /// Draws from `fraction`, a number from 0 to 1, how early a key is renewed.
    #[cfg(test)]
    pub(crate) fn with_fraction(mut self, fraction: fn() -> f64) -> Self {
        self.fraction = fraction;
        self
    }

    pub(super) fn first(&self) -> &dyn KeyProvider {
        &*self.first
    }

    pub(super) async fn make(&self, context: &EncryptionContext) -> Result<Made, ProviderError> {
        let (dek, recipients) = self.generate(context).await?;
        let data_key = ExpandedDek::new(dek);
        self.verify(&data_key, &recipients, context).await?;
        data_key.prove();
        let data_key = Arc::new(data_key);
        // A process that seals often opens the same payloads too.
        for recipient in &recipients {
            let name = CacheKey::new(&recipient.key, &recipient.wrapped, context);
            self.cache.insert(name, data_key.clone());
        }
        Ok(Made {
            data_key,
            recipients,
            renew_at: self.renew_at(),
        })
    }

    /// Makes a data key and has every recipient wrap it. A recipient that cannot open a payload would have lost it.
    async fn generate(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, Vec<Recipient>), ProviderError> {
        self.counters.wraps.add(self.recipients.len());
        let (dek, wrapped) = self.first.generate_dek(context).await?;
        let others = self.recipients.iter().skip(1);
        let wrapped_by_others =
            future::try_join_all(others.map(|key| key.wrap(&dek, context))).await?;
        let wrapped: Vec<WrappedDek> = [wrapped].into_iter().chain(wrapped_by_others).collect();
        let recipients = self.recipients.iter().zip(wrapped);
        let recipients = recipients.map(|(key, wrapped)| Recipient {
            key: key.uri().clone(),
            wrapped,
        });
        Ok((dek, recipients.collect()))
    }

    /// Unwraps a fresh data key once with every recipient. A key that was damaged on its way to or from the service would
    /// make an hour of payloads unreadable, and nobody would notice before they are read.
    ///
    /// A process that may only wrap is asked to unwrap each time too: it may have got, or get, the permission.
    async fn verify(
        &self,
        data_key: &ExpandedDek,
        recipients: &[Recipient],
        context: &EncryptionContext,
    ) -> Result<(), ProviderError> {
        let keys = self.recipients.iter().zip(recipients);
        let checks = keys.map(|(key, recipient)| async move {
            self.counters.verifications.add(1);
            let unwrapped = key.unwrap(&recipient.wrapped, context).await;
            if unwrapped.is_ok() {
                self.cache.worked().note(key.uri());
            }
            judge(&**key, data_key, unwrapped)
        });
        future::try_join_all(checks).await.map(drop)
    }

    /// Processes that start together must not renew together.
    fn renew_at(&self) -> Duration {
        let DekLimits {
            max_age,
            renew_before,
            ..
        } = self.limits;
        let varied = renew_before.mul_f64(0.2f64.mul_add((self.fraction)(), 0.9));
        let before = if varied < max_age {
            varied
        } else {
            renew_before
        };
        max_age.saturating_sub(before)
    }
}

fn judge(
    key: &dyn KeyProvider,
    data_key: &ExpandedDek,
    unwrapped: Result<Dek, ProviderError>,
) -> Result<(), ProviderError> {
    let damaged = |detail| Err(ProviderError::new(Kind::Integrity, key.uri()).with_detail(detail));
    match unwrapped {
        Ok(dek) if data_key.is_same(&dek) => Ok(()),
        Ok(_) => damaged("a fresh data key unwraps to another one, so it is not used"),
        Err(error) => match error.kind() {
            Kind::InvalidCiphertext | Kind::ContextMismatch | Kind::KeyVersionGone => {
                damaged("the service does not unwrap a fresh data key, so it is not used")
            }
            Kind::PermissionDenied | Kind::Unsupported => {
                tracing::debug!(key = %key.uri(), "a data key is not verified: this process may not unwrap");
                Ok(())
            }
            kind => {
                tracing::warn!(key = %key.uri(), error = kind.name(), "a data key could not be verified");
                Ok(())
            }
        },
    }
}
