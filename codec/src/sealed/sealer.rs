//! Seals values and files outside of Temporal.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;

use crate::{
    CacheLimits, ConfigurationError, DekLimits, EncryptionContext, Error, KeyUri,
    dek::{ActiveDek, ActiveKey, DataKeySettings, DecryptionKeys, OpeningKeys, SealingKeys},
    format::envelope_v2,
    kms::KeyProvider,
    stats::{Counters, Stats},
};

/// Contexts whose sealing keys are kept at the same time.
const MAX_CONTEXTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

/// Seals any bytes outside of Temporal: small values as a [`DataEnvelope`](crate::DataEnvelope) in JSON, long ones as a
/// sealed file.
///
/// Every context has a data key of its own, which is renewed as [`DekLimits`] say: one KMS call in an hour and not one for
/// every value. What is sealed under a context opens under the same one only. A sealer is cheap to clone.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    sealing: SealingKeys,
    opening: OpeningKeys,
    active: Mutex<LruCache<Vec<u8>, Arc<ActiveDek>>>,
    counters: Arc<Counters>,
}

/// Builds a [`Sealer`]; made by [`Sealer::builder`].
#[derive(Debug)]
#[must_use]
pub struct SealerBuilder(DataKeySettings);

impl SealerBuilder {
    /// Adds a key to seal with, and to open with. All of them can open a file.
    pub fn encrypt_with(mut self, key: Arc<dyn KeyProvider>) -> Self {
        self.0.encrypting.push(key);
        self
    }

    /// Adds a key to open with only, such as the one that was used before.
    pub fn decrypt_with(mut self, key: Arc<dyn KeyProvider>) -> Self {
        self.0.decrypting.push(key);
        self
    }

    /// How long one data key seals.
    pub fn dek_limits(mut self, limits: DekLimits) -> Self {
        self.0.dek_limits = limits;
        self
    }

    /// How many unwrapped data keys are kept for opening, and for how long.
    pub fn cache_limits(mut self, limits: CacheLimits) -> Self {
        self.0.cache_limits = limits;
        self
    }

    /// Makes the sealer. No KMS is called.
    ///
    /// # Errors
    /// [`Error::Configuration`] when there is no key to seal with, there are more than ten or one is named twice, or a limit
    /// cannot work.
    pub fn build(self) -> Result<Sealer, Error> {
        let counters = Arc::new(Counters::default());
        let (sealing, opening) = self.0.build(&counters)?;
        Ok(Sealer(Arc::new(Inner {
            sealing,
            opening,
            active: Mutex::new(LruCache::new(MAX_CONTEXTS)),
            counters,
        })))
    }
}

impl Sealer {
    /// Starts to build a sealer.
    pub fn builder() -> SealerBuilder {
        SealerBuilder(DataKeySettings::default())
    }

    /// Forgets every data key: the next value of each context takes a new one, and the next opening asks the KMS.
    pub fn clear_cache(&self) {
        self.0.active.lock().clear();
        self.0.opening.cache.clear();
    }

    /// What this sealer and its clones have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }

    pub(super) async fn active_key(
        &self,
        context: &EncryptionContext,
        bytes: usize,
    ) -> Result<Arc<ActiveKey>, Error> {
        let active = self.active(context);
        active.acquire(1, bytes as u64).await
    }

    pub(super) fn decryption(&self) -> &DecryptionKeys {
        &self.0.opening.decryption
    }

    pub(super) fn first_key(&self) -> &KeyUri {
        self.0.sealing.encrypting.first.uri()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn active(&self, context: &EncryptionContext) -> Arc<ActiveDek> {
        let mut active = self.0.active.lock();
        let new = || self.0.sealing.active(context, envelope_v2::metadata);
        active
            .get_or_insert(context.as_bytes().to_vec(), new)
            .clone()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("encrypting", &self.0.sealing.encrypting)
            .finish_non_exhaustive()
    }
}

/// A data key that is wrapped under the empty context has no mark that tells it from what direct mode encrypts and
/// from a data key of envelope version 1.
pub(super) fn check_bound(context: &EncryptionContext) -> Result<(), ConfigurationError> {
    if context.is_empty() {
        return Err(ConfigurationError::invalid(
            "encryption context",
            "it is empty; name at least one pair that tells what the value is for",
        ));
    }
    Ok(())
}
