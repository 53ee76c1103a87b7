use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use futures::future::{self, FutureExt as _};
use parking_lot::Mutex;

use super::{CacheKey, DataKey, DekCache, DekLimits, coalesce::Coalesce};
use crate::{
    EncryptionContext, Error, clock::Clock, encrypting_keys::EncryptingKeys,
    format::envelope_v2::Recipient, kms::ProviderError, stats::Counters,
};

/// How long after a failed attempt the next one waits, as long as there is a key to go on with.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A data key that seals, who can open it, and how every payload that it seals tells so.
#[derive(Debug)]
pub(crate) struct SealingKey {
    pub(crate) data_key: Arc<DataKey>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) metadata: BTreeMap<String, Vec<u8>>,
}

/// How an envelope's version tells its recipients and its context.
pub(crate) type Metadata = fn(&[Recipient], &EncryptionContext) -> BTreeMap<String, Vec<u8>>;

/// The one data key that seals for a context and a set of recipients, and its succession.
///
/// A key is renewed in the background before it reaches its age limit. At a limit callers wait for the new key. While
/// the KMS cannot be reached the old key goes on up to the hard age limit; a KMS that refuses ends it at the ordinary
/// one.
pub(crate) struct LiveDek {
    recipients: EncryptingKeys,
    context: EncryptionContext,
    metadata: Metadata,
    limits: DekLimits,
    current: ArcSwapOption<Live>,
    renewal: Coalesce<(), Arc<Live>>,
    last_failure: Mutex<Option<Failure>>,
    cache: Arc<DekCache>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
}

struct Live {
    key: Arc<SealingKey>,
    born: Instant,
    messages: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Clone, Copy)]
struct Failure {
    at: Instant,
    transient: bool,
}

/// What a live key may still do.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Seals,
    /// Seals, and a successor should be made.
    SealsAndAges,
    /// Over its age; seals only where no successor can be had.
    Overdue,
    Spent,
}

impl LiveDek {
    pub(crate) fn new(
        recipients: EncryptingKeys,
        context: EncryptionContext,
        metadata: Metadata,
        limits: DekLimits,
        cache: Arc<DekCache>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            recipients,
            context,
            metadata,
            limits,
            current: ArcSwapOption::empty(),
            renewal: Coalesce::new(),
            last_failure: Mutex::new(None),
            cache,
            clock,
            counters,
        }
    }

    pub(crate) fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The key to seal `messages` payloads of `bytes` bytes together with.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        messages: u64,
        bytes: u64,
    ) -> Result<Arc<SealingKey>, Error> {
        let now = self.clock.now();
        let current = self.current.load_full();
        if let Some(live) = &current {
            match live.admit(&self.limits, now, messages, bytes) {
                Admission::Seals => return Ok(live.key.clone()),
                Admission::SealsAndAges => {
                    self.renew_in_background(now, live);
                    return Ok(live.key.clone());
                }
                Admission::Overdue => {
                    if self
                        .failed_lately(now)
                        .is_some_and(|failure| failure.transient)
                    {
                        return Ok(live.key.clone());
                    }
                    return match self.renew(Some(live)).await {
                        Err(error) if error.is_transient() => Ok(live.key.clone()),
                        renewed => Ok(self.admit_new(&*renewed?, messages, bytes)),
                    };
                }
                Admission::Spent => {}
            }
        }
        let renewed = self.renew(current.as_ref()).await?;
        Ok(self.admit_new(&renewed, messages, bytes))
    }

    /// A new key takes whatever waited for it, be it more than the limits: they end its life, they cut no batch apart.
    fn admit_new(&self, live: &Live, messages: u64, bytes: u64) -> Arc<SealingKey> {
        live.admit(&self.limits, self.clock.now(), messages, bytes);
        live.key.clone()
    }

    fn renew_in_background(self: &Arc<Self>, now: Instant, seen: &Arc<Live>) {
        if self.failed_lately(now).is_some() || self.renewal.is_running(&()) {
            return;
        }
        // Without a runtime to run it, renewal waits for the age limit, where callers drive it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (this, seen) = (Arc::clone(self), Arc::clone(seen));
            runtime.spawn(async move { this.renew(Some(&seen)).await.map(drop) });
        }
    }

    /// The successor of the key that the caller has seen.
    async fn renew(self: &Arc<Self>, seen: Option<&Arc<Live>>) -> Result<Arc<Live>, Error> {
        self.renewal
            .run((), || {
                let (this, seen) = (Arc::clone(self), seen.cloned());
                async move {
                    match this.current.load_full() {
                        Some(live) if seen.is_none_or(|seen| !Arc::ptr_eq(&seen, &live)) => {
                            Ok(live)
                        }
                        _ => this.replace_current().await,
                    }
                }
            })
            .await
    }

    async fn replace_current(&self) -> Result<Arc<Live>, Error> {
        match self.generate().await {
            Ok(key) => {
                let live = Arc::new(Live {
                    key: Arc::new(key),
                    born: self.clock.now(),
                    messages: AtomicU64::new(0),
                    bytes: AtomicU64::new(0),
                });
                self.current.store(Some(live.clone()));
                *self.last_failure.lock() = None;
                self.counters.dek_renewals.add(1);
                Ok(live)
            }
            Err(error) => {
                *self.last_failure.lock() = Some(Failure {
                    at: self.clock.now(),
                    transient: error.is_transient(),
                });
                self.counters.dek_renewal_failures.add(1);
                tracing::warn!(%error, "no new data key could be made");
                Err(error.into())
            }
        }
    }

    /// Makes a data key and has every recipient wrap it: what one of them cannot open would be lost to it.
    async fn generate(&self) -> Result<SealingKey, ProviderError> {
        let EncryptingKeys { first, others } = &self.recipients;
        self.counters.wraps.add(1 + others.len());
        let (dek, wrapped) = first.generate_dek(&self.context).await?;
        let wrapped_by_others = future::try_join_all(others.iter().map(|provider| {
            provider.wrap(&dek, &self.context).map(|wrapped| {
                Ok(Recipient {
                    key: provider.uri().clone(),
                    wrapped: wrapped?,
                })
            })
        }))
        .await?;
        let mut recipients = vec![Recipient {
            key: first.uri().clone(),
            wrapped,
        }];
        recipients.extend(wrapped_by_others);

        let data_key = Arc::new(DataKey::new(dek));
        // Whoever seals here often opens here too.
        for recipient in &recipients {
            let cache_key = CacheKey::new(&recipient.key, &recipient.wrapped, &self.context);
            self.cache.insert(cache_key, data_key.clone());
        }
        Ok(SealingKey {
            data_key,
            metadata: (self.metadata)(&recipients, &self.context),
            recipients,
        })
    }

    fn failed_lately(&self, now: Instant) -> Option<Failure> {
        self.last_failure
            .lock()
            .filter(|failure| now < failure.at + RETRY_AFTER)
    }
}

impl Live {
    /// Counts a batch, unless the key is spent.
    fn admit(&self, limits: &DekLimits, now: Instant, messages: u64, bytes: u64) -> Admission {
        let age = now.saturating_duration_since(self.born);
        if age >= limits.hard_max_age
            || self.messages.fetch_add(messages, Relaxed) >= limits.max_messages
            || self.bytes.fetch_add(bytes, Relaxed) >= limits.max_bytes
        {
            Admission::Spent
        } else if age >= limits.max_age {
            Admission::Overdue
        } else if age >= limits.max_age.saturating_sub(limits.renew_before) {
            Admission::SealsAndAges
        } else {
            Admission::Seals
        }
    }
}

#[cfg(test)]
mod tests;
