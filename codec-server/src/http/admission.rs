//! Limits for each caller and each namespace, so that one of them leaves room for the others.

use std::{hash::Hash, num::NonZeroUsize, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use lru::LruCache;
use parking_lot::Mutex;
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    auth::{Identity, Method},
    namespaces::NamespaceLimits,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

use super::request_error::{Limited, RequestError};
use crate::config::{LimitsConfig, ShareLimits};

/// How long a request waits for others of the same caller or namespace.
const QUEUE_TIME: Duration = Duration::from_secs(1);
/// Callers and namespaces that are remembered. A forgotten one begins with a full allowance.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// The limits of callers and namespaces.
pub(super) struct Admission {
    open: Arc<Semaphore>,
    callers: Shares<Caller>,
    namespaces: Shares<Namespace>,
}

/// A caller. Subjects of different issuers are different callers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Caller {
    method: Method,
    issuer: Option<String>,
    subject: String,
}

/// The places of an admitted request, until it drops them.
pub(super) struct Admitted {
    _caller: Option<OwnedSemaphorePermit>,
    _namespace: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// At most `max_open` requests are open at a time, with those that wait for their bodies.
    pub(super) fn new(limits: &LimitsConfig, max_open: usize) -> Self {
        Self {
            open: Arc::new(Semaphore::new(max_open)),
            callers: Shares::new(&limits.caller),
            namespaces: Shares::new(&limits.namespace),
        }
    }

    /// A place among the open requests. A connection of HTTP/2 carries many.
    pub(super) fn open(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        let place = Arc::clone(&self.open).try_acquire_owned();
        place.map_err(|_: TryAcquireError| RequestError::Overloaded)
    }

    /// Admits a request. It may wait for others of the same caller or namespace.
    pub(super) async fn admit(
        &self,
        identity: &Identity,
        namespace: &Namespace,
        own: &NamespaceLimits,
    ) -> Result<Admitted, RequestError> {
        // Without authentication, everybody is one caller.
        let caller = match identity.method() {
            Method::Open => None,
            method => {
                let caller = Caller {
                    method,
                    issuer: identity.issuer().map(str::to_owned),
                    subject: identity.subject().to_owned(),
                };
                let limits = self.callers.limits;
                self.callers.admit(&caller, limits, Limited::Caller).await?
            }
        };
        let limits = self.namespaces.limits.of_namespace(own);
        let namespaces = &self.namespaces;
        let namespace = namespaces.admit(namespace, limits, Limited::Namespace);
        let namespace = namespace.await?;
        Ok(Admitted {
            _caller: caller,
            _namespace: namespace,
        })
    }
}

/// The shares of all callers, or of all namespaces.
struct Shares<K: Hash + Eq> {
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
    fn new(limits: &ShareLimits) -> Self {
        Self {
            limits: *limits,
            known: Mutex::new(LruCache::new(MOST)),
        }
    }

    async fn admit(
        &self,
        key: &K,
        limits: ShareLimits,
        limited: Limited,
    ) -> Result<Option<OwnedSemaphorePermit>, RequestError> {
        if limits.concurrent.is_none() && limits.rate.is_none() {
            return Ok(None);
        }
        let share = self.share(key, limits);
        if let Some(rate) = &share.rate {
            rate.check().map_err(|early| {
                let wait = early.wait_time_from(DefaultClock::default().now());
                RequestError::TooMany { limited, wait }
            })?;
        }
        let Some(permits) = share.permits else {
            return Ok(None);
        };
        match timeout(QUEUE_TIME, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(RequestError::TooMany {
                limited,
                wait: QUEUE_TIME,
            }),
        }
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn namespace(name: &str) -> Namespace {
        Namespace::new(name).unwrap()
    }

    /// No limits of its own.
    fn own() -> NamespaceLimits {
        NamespaceLimits::default()
    }

    fn limits(namespace: ShareLimits) -> LimitsConfig {
        LimitsConfig {
            namespace,
            ..LimitsConfig::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_leaves_room_for_others() {
        let concurrent = ShareLimits {
            concurrent: Some(2),
            ..ShareLimits::default()
        };
        let admission = Admission::new(&limits(concurrent), 10);
        let unlimited = own();
        let (caller, a, b) = (Identity::anyone(), namespace("a"), namespace("b"));
        let first = admission.admit(&caller, &a, &own()).await.unwrap();
        let _second = admission.admit(&caller, &a, &own()).await.unwrap();
        let refused = admission.admit(&caller, &a, &own()).await.err().unwrap();
        assert!(refused.to_string().contains("this namespace"), "{refused}");
        let _other = admission.admit(&caller, &b, &own()).await.unwrap();
        let (waited, ()) = tokio::join!(admission.admit(&caller, &a, &unlimited), async {
            drop(first);
        });
        waited.unwrap();
    }

    #[tokio::test]
    async fn a_rate_has_a_burst_and_tells_when_to_try_again() {
        let rate = ShareLimits {
            rate: NonZeroU32::new(1),
            burst: NonZeroU32::new(3),
            ..ShareLimits::default()
        };
        let admission = Admission::new(&limits(rate), 10);
        let (caller, a) = (Identity::anyone(), namespace("a"));
        for _ in 0..3 {
            admission.admit(&caller, &a, &own()).await.unwrap();
        }
        let refused = admission.admit(&caller, &a, &own()).await.err().unwrap();
        let seconds = refused.retry_after().unwrap();
        assert_eq!(seconds, "1");
        admission
            .admit(&caller, &namespace("b"), &own())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_limits_of_one_namespace_count_before_those_of_all() {
        let one = ShareLimits {
            rate: NonZeroU32::new(1),
            ..ShareLimits::default()
        };
        let admission = Admission::new(&limits(one), 10);
        let (caller, a) = (Identity::anyone(), namespace("a"));
        let mut own = NamespaceLimits::default();
        own.max_rate = NonZeroU32::new(2);
        for _ in 0..2 {
            admission.admit(&caller, &a, &own).await.unwrap();
        }
        assert!(admission.admit(&caller, &a, &own).await.is_err());
        // After a reload.
        own.max_rate = NonZeroU32::new(3);
        admission.admit(&caller, &a, &own).await.unwrap();
    }

    #[test]
    fn open_requests_are_bounded() {
        let admission = Admission::new(&LimitsConfig::default(), 1);
        let open = admission.open().unwrap();
        assert!(matches!(admission.open(), Err(RequestError::Overloaded)));
        drop(open);
        assert!(admission.open().is_ok());
    }
}
