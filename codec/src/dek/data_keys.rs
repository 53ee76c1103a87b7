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

/// What makes and opens the data keys of one codec or sealer.
pub(crate) struct DataKeys {
    pub(crate) encrypting: EncryptingKeys,
    pub(crate) decryption: DecryptionKeys,
    pub(crate) cache: Arc<DekCache>,
    maker: Arc<DekMaker>,
    clock: Arc<dyn Clock>,
}

impl DataKeySettings {
    /// Checks the limits and the keys. No KMS is called.
    pub(crate) fn build(self, counters: &Arc<Counters>) -> Result<DataKeys, ConfigurationError> {
        self.dek_limits.check()?;
        self.cache_limits.check()?;
        let mut opening = self.encrypting.clone();
        opening.extend(self.decrypting);
        let encrypting = EncryptingKeys::new(self.encrypting)?;

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let cache = DekCache::new(&self.cache_limits, clock.clone(), counters.clone());
        let cache = Arc::new(cache);
        let maker = DekMaker::new(
            &encrypting,
            self.dek_limits,
            cache.clone(),
            clock.clone(),
            counters.clone(),
        );
        Ok(DataKeys {
            decryption: DecryptionKeys::new(opening, cache.clone(), &clock, counters.clone()),
            encrypting,
            cache,
            maker: Arc::new(maker),
            clock,
        })
    }
}

impl DataKeys {
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
