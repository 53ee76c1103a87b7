//! The shares of callers and namespaces, so that one of them leaves room for the others.

use std::{
    fmt,
    hash::Hash,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    namespaces::NamespaceLimits,
    settings::{Section, values},
};

/// How long a request waits for others of the same caller or namespace.
const QUEUE_TIME: Duration = Duration::from_secs(1);
/// Callers and namespaces that are remembered. A forgotten one begins with a full allowance.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// The limits of one caller or one namespace. `None`: only the limits of the whole server hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "each server decides on each limit"
)]
pub struct ShareLimits {
    /// `…_requests`: requests at the same time, with those whose bodies arrive. Others wait for a second.
    pub concurrent: Option<usize>,
    /// `…_rate`: requests in a second, in the long run.
    pub rate: Option<NonZeroU32>,
    /// `…_burst`: requests at once after a pause. Default: the rate.
    pub burst: Option<NonZeroU32>,
}

impl ShareLimits {
    /// Reads the three settings of these names.
    pub fn read(
        section: &mut Section<'_>,
        requests: &'static str,
        rate: &'static str,
        burst: &'static str,
    ) -> Self {
        let limits = Self {
            concurrent: section.value(requests, values::permits),
            rate: section.value(rate, number),
            burst: section.value(burst, number),
        };
        if limits.burst.is_some() && limits.rate.is_none() {
            section.report(format!(
                "`{burst}` has no effect without `{rate}`; set both"
            ));
        }
        limits
    }

    /// These limits with those of one namespace over them.
    #[must_use]
    pub fn of_namespace(mut self, own: &NamespaceLimits) -> Self {
        self.concurrent = own.max_requests.or(self.concurrent);
        if own.max_rate.is_some() {
            self.rate = own.max_rate;
            self.burst = own.max_burst;
        }
        self
    }
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    let number: Option<NonZeroU32> = text.parse().ok();
    number.ok_or_else(|| format!("expected a whole number from 1 to {}", u32::MAX))
}

/// A share has too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exceeded {
    /// When to try again.
    pub wait: Duration,
}

/// The shares of all callers, or of all namespaces.
pub struct Shares<K: Hash + Eq> {
    limits: ShareLimits,
    known: Mutex<LruCache<K, Share>>,
}

/// The share of one.
#[derive(Clone)]
struct Share {
    limits: ShareLimits,
    permits: Option<Arc<Semaphore>>,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// Each has these limits.
    #[must_use]
    pub fn new(limits: &ShareLimits) -> Self {
        Self {
            limits: *limits,
            known: Mutex::new(LruCache::new(MOST)),
        }
    }

    /// The limits of each.
    #[must_use]
    pub fn limits(&self) -> ShareLimits {
        self.limits
    }

    /// Admits a request of `key`. It may wait a moment for others of `key`.
    ///
    /// # Errors
    /// When there are too many.
    pub async fn admit(&self, key: &K) -> Result<Option<OwnedSemaphorePermit>, Exceeded> {
        self.admit_within(key, self.limits).await
    }

    /// As [`admit`](Self::admit), with limits of its own.
    ///
    /// # Errors
    /// When there are too many.
    pub async fn admit_within(
        &self,
        key: &K,
        limits: ShareLimits,
    ) -> Result<Option<OwnedSemaphorePermit>, Exceeded> {
        if limits.concurrent.is_none() && limits.rate.is_none() {
            return Ok(None);
        }
        let share = self.share(key, limits);
        if let Some(rate) = &share.rate {
            rate.check().map_err(|early| {
                let wait = early.wait_time_from(DefaultClock::default().now());
                Exceeded { wait }
            })?;
        }
        let Some(permits) = share.permits else {
            return Ok(None);
        };
        match timeout(QUEUE_TIME, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(Exceeded { wait: QUEUE_TIME }),
        }
    }

    /// Admits a request of `key` after those that came before, however long it takes. It does not count for the rate.
    pub async fn wait(&self, key: &K) -> Option<OwnedSemaphorePermit> {
        let permits = self.share(key, self.limits).permits?;
        // Nothing closes the semaphore.
        permits.acquire_owned().await.ok()
    }

    /// The share of `key`. With other limits than before, it is a new one.
    fn share(&self, key: &K, limits: ShareLimits) -> Share {
        let mut known = self.known.lock();
        if let Some(share) = known.get(key).filter(|share| share.limits == limits) {
            return share.clone();
        }
        let quota = limits.rate.map(|rate| {
            let quota = Quota::per_second(rate);
            limits.burst.map_or(quota, |burst| quota.allow_burst(burst))
        });
        let permits = limits.concurrent;
        let share = Share {
            limits,
            permits: permits.map(|most| Arc::new(Semaphore::new(most))),
            rate: quota.map(|quota| Arc::new(RateLimiter::direct(quota))),
        };
        known.put(key.clone(), share.clone());
        share
    }
}

impl<K: Hash + Eq> fmt::Debug for Shares<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
