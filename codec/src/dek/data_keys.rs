//! Everything that makes and opens data keys, put together in one place for codecs and sealers.

use std::sync::Arc;

use super::{
    active::{ActiveDek, Metadata},
    cache::DekCache,
    decryption_keys::DecryptionKeys,
    encrypting_keys::EncryptingKeys,
    limits::{CacheLimits, DekLimits},
    maker::DekMaker,
    rest::Rest,
};
use crate::{ConfigurationError, EncryptionContext, kms::KeyProvider, stats::Counters};
use temporal_kms::support::clock::{Clock, SystemClock};

/// The keys and limits of a codec or a sealer, as its builder was told them.
#[derive(Debug, Default)]
pub(crate) struct DataKeySettings {
    pub(crate) encrypting: Vec<Arc<dyn KeyProvider>>,
    /// Keys that decrypt only. Encrypting keys decrypt too.
    pub(crate) decrypting: Vec<Arc<dyn KeyProvider>>,
    pub(crate) dek_limits: DekLimits,
    pub(crate) cache_limits: CacheLimits,
}

/// What makes the data keys of one codec or sealer.
pub(crate) struct SealingKeys {
    pub(crate) encrypting: EncryptingKeys,
    maker: Arc<DekMaker>,
    clock: Arc<dyn Clock>,
}

/// What opens the data keys of one codec or sealer.
pub(crate) struct OpeningKeys {
    pub(crate) decryption: DecryptionKeys,
    pub(crate) cache: Arc<DekCache>,
    clock: Arc<dyn Clock>,
}

impl DataKeySettings {
    /// Checks the limits and the keys. No KMS is called.
    pub(crate) fn build(
        self,
        counters: &Arc<Counters>,
    ) -> Result<(SealingKeys, OpeningKeys), ConfigurationError> {
        self.dek_limits.check()?;
        let encrypting = EncryptingKeys::new(self.encrypting.clone())?;
        let limits = self.dek_limits.clone();
        let opening = self.build_opening(counters)?;
        let maker = DekMaker::new(
            &encrypting,
            limits,
            opening.cache.clone(),
            opening.clock.clone(),
            counters.clone(),
        );
        let sealing = SealingKeys {
            encrypting,
            maker: Arc::new(maker),
            clock: opening.clock.clone(),
        };
        Ok((sealing, opening))
    }

    /// Builds the opening half only.
    pub(crate) fn build_opening(
        self,
        counters: &Arc<Counters>,
    ) -> Result<OpeningKeys, ConfigurationError> {
        self.cache_limits.check()?;
        let mut keys = self.encrypting;
        keys.extend(self.decrypting);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let cache = DekCache::new(&self.cache_limits, clock.clone(), counters.clone());
        let cache = Arc::new(cache);
        Ok(OpeningKeys {
            decryption: DecryptionKeys::new(keys, cache.clone(), &clock, counters.clone()),
            cache,
            clock,
        })
    }
}

impl SealingKeys {
    /// The data key that seals under `context`. `metadata` is how the envelope's version names its recipients.
    pub(crate) fn active(&self, context: &EncryptionContext, metadata: Metadata) -> Arc<ActiveDek> {
        let maker = self.maker.clone();
        Arc::new(ActiveDek::new(maker, context.clone(), metadata))
    }

    /// Remembers the refusals of an operation of one encrypting key.
    pub(crate) fn rest(&self) -> Rest {
        Rest::new(self.clock.clone())
    }
}
