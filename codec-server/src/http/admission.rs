//! Limits for each caller and each namespace, so that one of them leaves room for the others.

use std::sync::Arc;

use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::{
    auth::{CallerId, Identity},
    namespaces::NamespaceLimits,
    shares::{Exceeded, Shares},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::request_error::{Limited, RequestError};
use crate::config::LimitsConfig;

/// The limits of callers and namespaces.
pub(super) struct Admission {
    open: Arc<Semaphore>,
    callers: Shares<CallerId>,
    namespaces: Shares<Namespace>,
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
        let too_many =
            |limited| move |Exceeded { wait, .. }| RequestError::TooMany { limited, wait };
        let caller = match CallerId::of(identity) {
            None => None,
            Some(caller) => {
                let admitted = self.callers.admit(&caller).await;
                admitted.map_err(too_many(Limited::Caller))?
            }
        };
        let limits = self.namespaces.limits().of_namespace(own);
        let admitted = self.namespaces.admit_within(namespace, limits).await;
        let namespace = admitted.map_err(too_many(Limited::Namespace))?;
        Ok(Admitted {
            _caller: caller,
            _namespace: namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use crate::config::ShareLimits;

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
