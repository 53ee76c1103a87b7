//! The data key that seals now, and its succession.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::{
    expanded_dek::ExpandedDek, failure::panicked, limits::DekLimits, maker::DekMaker, rest::Rest,
    single_flight::SingleFlight,
};
use crate::{EncryptionContext, Error, types::Recipient};
use temporal_kms::support::clock::Moment;

/// How long after a failed attempt the next one waits, as long as there is a key to go on with.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long callers wait for the successor of a key that is over its age but may still be used.
const PATIENCE: Duration = Duration::from_secs(1);

/// A data key that seals, who can open it, and how every payload that it seals tells so.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) data_key: Arc<ExpandedDek>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) metadata: Arc<BTreeMap<String, Vec<u8>>>,
}

/// How an envelope's version tells its recipients and its context.
pub(crate) type Metadata = fn(&[Recipient], &EncryptionContext) -> BTreeMap<String, Vec<u8>>;

/// The one data key that seals for a context and a set of recipients, and its succession.
///
/// A key is renewed in the background before it reaches its age limit. At that limit callers wait for the new key, but
/// only for a second. While the KMS cannot be reached, or does not answer, the old key goes on up to the hard age limit.
/// A KMS that refuses ends it at the ordinary one.
pub(crate) struct ActiveDek {
    maker: Arc<DekMaker>,
    context: EncryptionContext,
    metadata: Metadata,
    current: ArcSwapOption<Current>,
    renewal: SingleFlight<(), Arc<Current>>,
    /// Of all recipients together: a data key that one of them does not wrap is not used. A key may be refused for one
    /// context and granted for another, so each has its own.
    wrapping: Rest,
    last_failure: Mutex<Option<LastFailure>>,
}

struct Current {
    key: Arc<ActiveKey>,
    born: Moment,
    renew_at: Duration,
    messages: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Clone, Copy)]
struct LastFailure {
    at: Moment,
    transient: bool,
}

/// What an active key may still do.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Seals,
    /// Seals, and a successor should be made.
    RenewSoon,
    /// Over its age; seals only where no successor can be had.
    Expired,
    Exhausted,
}

impl ActiveDek {
    pub(crate) fn new(
        maker: Arc<DekMaker>,
        context: EncryptionContext,
        metadata: Metadata,
    ) -> Self {
        Self {
            wrapping: Rest::new(maker.clock.clone()),
            maker,
            context,
            metadata,
            current: ArcSwapOption::empty(),
            renewal: SingleFlight::new(),
            last_failure: Mutex::new(None),
        }
    }

    pub(crate) fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The age of the key that seals now.
    pub(crate) fn age(&self) -> Option<Duration> {
        let current = self.current.load_full()?;
        Some(current.born.age_at(self.maker.clock.moment()))
    }

    /// The key to seal `messages` payloads of `bytes` bytes together with.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        messages: u64,
        bytes: u64,
    ) -> Result<Arc<ActiveKey>, Error> {
        let now = self.maker.clock.moment();
        let current = self.current.load_full();
        if let Some(active) = &current {
            match active.admit(&self.maker.limits, now, messages, bytes) {
                Admission::Seals => return Ok(active.key.clone()),
                Admission::RenewSoon => {
                    if self.failed_lately(now).is_none() {
                        self.renew_in_background(active);
                    }
                    return Ok(active.key.clone());
                }
                Admission::Expired => {
                    return match self.renew_soon(now, active).await {
                        Some(renewed) => Ok(self.admit_new(&*renewed?, messages, bytes)),
                        None => self.keep_expired(active, messages, bytes).await,
                    };
                }
                Admission::Exhausted => {}
            }
        }
        let renewed = self.renew(current.as_ref()).await?;
        Ok(self.admit_new(&renewed, messages, bytes))
    }

    /// A fresh key accepts the whole waiting batch, even above its limits. Limits retire keys; they never split a batch.
    fn admit_new(&self, active: &Current, messages: u64, bytes: u64) -> Arc<ActiveKey> {
        active.admit(
            &self.maker.limits,
            self.maker.clock.moment(),
            messages,
            bytes,
        );
        active.key.clone()
    }

    /// The expired key. During the wait for its successor another call may have made that, and a suspended machine may have
    /// aged the key beyond its hard limit.
    async fn keep_expired(
        self: &Arc<Self>,
        expired: &Arc<Current>,
        messages: u64,
        bytes: u64,
    ) -> Result<Arc<ActiveKey>, Error> {
        let current = self.current.load_full();
        let is_current = current.is_some_and(|current| Arc::ptr_eq(&current, expired));
        let age = expired.born.age_at(self.maker.clock.moment());
        if is_current && age < self.maker.limits.hard_max_age {
            return Ok(expired.key.clone());
        }
        let renewed = self.renew(Some(expired)).await?;
        Ok(self.admit_new(&renewed, messages, bytes))
    }

    /// The successor of an expired key, unless the KMS cannot be reached or takes too long.
    async fn renew_soon(
        self: &Arc<Self>,
        now: Moment,
        expired: &Arc<Current>,
    ) -> Option<Result<Arc<Current>, Error>> {
        if self
            .failed_lately(now)
            .is_some_and(|failure| failure.transient)
        {
            return None;
        }
        let renewed = if self.renew_in_background(expired) {
            let renewal = tokio::time::timeout(PATIENCE, self.renew(Some(expired)));
            let Ok(renewed) = renewal.await else {
                tracing::warn!(key = %self.maker.first().uri(), "a new data key takes long; the old one goes on");
                self.note_failure(true);
                return None;
            };
            renewed
        } else {
            self.renew(Some(expired)).await
        };
        match renewed {
            Err(error) if error.is_transient() => None,
            renewed => Some(renewed),
        }
    }

    /// Has the runtime drive the renewal, also when no caller waits for it. Without a runtime the callers drive it.
    fn renew_in_background(self: &Arc<Self>, seen: &Arc<Current>) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return false;
        };
        if !self.renewal.is_running(&()) {
            let (this, seen) = (Arc::clone(self), Arc::clone(seen));
            runtime.spawn(async move { this.renew(Some(&seen)).await.map(drop) });
        }
        true
    }

    /// The successor of the key that the caller has seen.
    async fn renew(self: &Arc<Self>, seen: Option<&Arc<Current>>) -> Result<Arc<Current>, Error> {
        let lost = panicked(self.maker.first());
        self.renewal
            .run((), lost, || {
                let (this, seen) = (Arc::clone(self), seen.cloned());
                async move {
                    match this.current.load_full() {
                        Some(active) if seen.is_none_or(|seen| !Arc::ptr_eq(&seen, &active)) => {
                            Ok(active)
                        }
                        _ => this.replace_current().await,
                    }
                }
            })
            .await
    }

    async fn replace_current(&self) -> Result<Arc<Current>, Error> {
        self.wrapping.check()?;
        let counters = &self.maker.counters;
        let made = self.maker.make(&self.context).await;
        self.wrapping.learn(&made);
        match made {
            Ok(made) => {
                let active = Arc::new(Current {
                    key: Arc::new(ActiveKey {
                        metadata: Arc::new((self.metadata)(&made.recipients, &self.context)),
                        data_key: made.data_key,
                        recipients: made.recipients,
                    }),
                    born: self.maker.clock.moment(),
                    renew_at: made.renew_at,
                    messages: AtomicU64::new(0),
                    bytes: AtomicU64::new(0),
                });
                self.current.store(Some(active.clone()));
                *self.last_failure.lock() = None;
                counters.dek_renewals.add(1);
                Ok(active)
            }
            Err(error) => {
                self.note_failure(error.is_transient());
                counters.dek_renewal_failures.add(1);
                // Without an older key, every caller gets this error and reports it.
                if self.current.load().is_some() {
                    tracing::warn!(%error, "no new data key could be made");
                } else {
                    tracing::debug!(%error, "no new data key could be made");
                }
                Err(error.into())
            }
        }
    }

    fn note_failure(&self, transient: bool) {
        *self.last_failure.lock() = Some(LastFailure {
            at: self.maker.clock.moment(),
            transient,
        });
    }

    fn failed_lately(&self, now: Moment) -> Option<LastFailure> {
        self.last_failure
            .lock()
            .filter(|failure| failure.at.age_at(now) < RETRY_AFTER)
    }
}

impl Current {
    /// Counts a batch, unless the key is spent.
    fn admit(&self, limits: &DekLimits, now: Moment, messages: u64, bytes: u64) -> Admission {
        let age = self.born.age_at(now);
        if age >= limits.hard_max_age
            || self.messages.fetch_add(messages, Relaxed) >= limits.max_messages
            || self.bytes.fetch_add(bytes, Relaxed) >= limits.max_bytes
        {
            Admission::Exhausted
        } else if age >= limits.max_age {
            Admission::Expired
        } else if age >= self.renew_at {
            Admission::RenewSoon
        } else {
            Admission::Seals
        }
    }
}

#[cfg(test)]
mod tests;
