//! A key in several regions. While its own region is unreachable, calls go to a replica.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_kms::Client;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{
    client::{RegionalKey, Resolved},
    name::{Arn, KeyName},
};
use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, support::clock::Clock};

/// How long calls try a replica first after the key's own region was unreachable.
const DETOUR: Duration = Duration::from_secs(30);

/// A call that its caller gives up after at least this time shows that the region is unreachable. Before that, the
/// caller only lost interest.
const HANGING: Duration = Duration::from_secs(1);

/// A key in its own region and, if it is a multi-region key, its replicas.
///
/// A replica is called only while the key's own region is unreachable. A refusal by the key's own region is final. A
/// replica has its own policy and state, so its refusal of the caller is not final. It has the same key material, so
/// its verdict on a ciphertext is final. So a payload that cannot be opened costs no further attempts during an outage.
pub(super) struct Regions {
    home: Arc<RegionalKey>,
    /// The region of names without one.
    default_region: Option<String>,
    /// The regions of a multi-region key's replicas.
    replicas: Vec<ReplicaRegion>,
    away_until: Mutex<Option<Instant>>,
    warned: AtomicBool,
    clock: Arc<dyn Clock>,
}

/// AWS KMS in the region of a replica.
pub(super) struct ReplicaRegion {
    pub(super) region: String,
    pub(super) kms: Client,
}

impl Regions {
    pub(super) fn new(
        home: RegionalKey,
        default_region: Option<String>,
        replicas: Vec<ReplicaRegion>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            home: Arc::new(home),
            default_region,
            replicas,
            away_until: Mutex::new(None),
            warned: AtomicBool::new(false),
            clock,
        }
    }

    pub(super) fn uri(&self) -> &KeyUri {
        &self.home.uri
    }

    /// Whether the key's name is an alias. An alias can be pointed at another key.
    pub(super) fn is_named_by_alias(&self) -> bool {
        self.home.name.alias().is_some()
    }

    /// Whether `key` also names this key: with or without its region, by its id, by the ARN behind its alias, or by the
    /// ARN of the same multi-region key in another region.
    pub(super) fn have(&self, key: &KeyUri) -> bool {
        if key == self.uri() {
            return true;
        }
        let Ok(other) = KeyName::of(key) else {
            return false;
        };
        let (region, default) = (&self.home.region, self.default_region.as_deref());
        let is_alias = |own: &KeyName| own.is_alias_of(region, &other, default);
        let resolved = self.home.resolved.arn().map(KeyName::Arn);
        is_alias(&self.home.name) || resolved.as_ref().is_some_and(is_alias)
    }

    /// Makes a call in a region that can serve it.
    pub(super) async fn call<'a, T>(
        &'a self,
        attempt: impl Fn(Arc<RegionalKey>) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let replicas = self.replicas();
        if replicas.is_empty() {
            let outcome = attempt(self.home.clone()).await;
            self.warn_of_idle_replicas();
            return outcome;
        }
        let mut failure = None;
        if self.is_home_there() {
            match self.call_home(attempt(self.home.clone())).await {
                Err(error) if is_away(&error) => failure = Some(error),
                decided => return decided,
            }
        }
        for replica in replicas {
            let region = replica.region.clone();
            match attempt(Arc::new(replica)).await {
                Err(error) if !is_verdict(&error) => tracing::warn!(
                    key = %self.uri(), region, error = error.kind().as_str(),
                    "a replica of the key did not serve the call either"
                ),
                decided => return decided,
            }
        }
        match failure {
            Some(error) => Err(error),
            None => self.call_home(attempt(self.home.clone())).await,
        }
    }

    /// The key in the other regions, if it is a multi-region key. Its name tells that, or the answer that resolved its
    /// alias.
    fn replicas(&self) -> Vec<RegionalKey> {
        if self.replicas.is_empty() {
            return Vec::new();
        }
        let arn = match &self.home.name {
            KeyName::Arn(arn) if !arn.is_alias() => Some(arn.clone()),
            _ => self.home.resolved.arn(),
        };
        let Some(arn) = arn.filter(Arn::is_multi_region) else {
            return Vec::new();
        };
        let replica = |place: &ReplicaRegion| RegionalKey {
            uri: self.uri().clone(),
            name: KeyName::Arn(arn.in_region(&place.region)),
            region: place.region.clone(),
            kms: place.kms.clone(),
            resolved: Resolved::default(),
        };
        self.replicas.iter().map(replica).collect()
    }

    /// Warns once if replica regions are configured, but the key behind the alias has no replicas.
    fn warn_of_idle_replicas(&self) {
        let resolved = self.home.resolved.arn();
        if !self.replicas.is_empty()
            && resolved.is_some_and(|arn| !arn.is_multi_region())
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(key = %self.uri(), "replica regions are configured, but this is not a multi-region key");
        }
    }

    async fn call_home<T>(
        &self,
        call: BoxFuture<'_, Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let mut watch = Watch {
            regions: self,
            since: self.clock.now(),
            answered: false,
        };
        let outcome = call.await;
        watch.answered = true;
        match &outcome {
            Err(error) if is_away(error) => self.avoid_home(error.kind().as_str()),
            _ => *self.away_until.lock() = None,
        }
        outcome
    }

    fn is_home_there(&self) -> bool {
        let until = *self.away_until.lock();
        until.is_none_or(|until| until <= self.clock.now())
    }

    fn avoid_home(&self, reason: &str) {
        *self.away_until.lock() = Some(self.clock.now() + DETOUR);
        tracing::warn!(
            key = %self.uri(), region = self.home.region, reason,
            "the key's own region is unreachable; its replicas are called"
        );
    }
}

/// A damaged answer does not mean that the region is unreachable, so the same region is asked again.
fn is_away(error: &ProviderError) -> bool {
    matches!(
        error.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Throttled
    )
}

/// Whether the answer is about the ciphertext, and the same in every region.
fn is_verdict(error: &ProviderError) -> bool {
    matches!(
        error.kind(),
        Kind::InvalidCiphertext | Kind::ContextMismatch | Kind::KeyVersionGone
    )
}

/// Notices if the caller cancels a call that hangs.
struct Watch<'a> {
    regions: &'a Regions,
    since: Instant,
    answered: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let waited = self
            .regions
            .clock
            .now()
            .saturating_duration_since(self.since);
        if !self.answered && waited >= HANGING {
            self.regions.avoid_home("it hangs");
        }
    }
}

impl fmt::Debug for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas: Vec<_> = self.replicas.iter().map(|place| &place.region).collect();
        f.debug_struct("Regions")
            .field("uri", self.uri())
            .field("region", &self.home.region)
            .field("replicas", &replicas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::Config;
    use futures::FutureExt as _;

    use super::*;
    use crate::client;
    use temporal_kms::support::clock::ManualClock;

    const HOME: &str = "eu-west-1";
    const AWAY: &str = "us-west-2";

    fn kms() -> Client {
        let config = Config::builder().behavior_version(client::behavior());
        Client::from_conf(config.build())
    }

    fn home() -> RegionalKey {
        let uri = format!("aws-kms://arn:aws:kms:{HOME}:111122223333:key/mrk-1");
        let uri: KeyUri = uri.parse().unwrap();
        RegionalKey {
            name: KeyName::of(&uri).unwrap(),
            uri,
            region: HOME.to_owned(),
            kms: kms(),
            resolved: Resolved::default(),
        }
    }

    struct Outage {
        regions: Regions,
        clock: Arc<ManualClock>,
        called: Mutex<Vec<String>>,
    }

    impl Outage {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new());
            let away = ReplicaRegion {
                region: AWAY.to_owned(),
                kms: kms(),
            };
            Self {
                regions: Regions::new(home(), None, vec![away], clock.clone()),
                clock,
                called: Mutex::default(),
            }
        }

        /// Makes a call that fails with `home` in the home region, and returns the regions that were called.
        async fn call(&self, home: Option<Kind>) -> Vec<String> {
            let attempt = |key: Arc<RegionalKey>| {
                self.called.lock().push(key.region.clone());
                let failure = home
                    .filter(|_| key.region == HOME)
                    .map(|kind| key.error(kind));
                async move { failure.map_or(Ok(()), Err) }.boxed()
            };
            let outcome = self.regions.call(attempt).await;
            assert_eq!(outcome.err().map(|error| error.kind()), None);
            std::mem::take(&mut *self.called.lock())
        }
    }

    #[tokio::test]
    async fn home_is_asked_again_half_a_minute_after_an_outage() {
        let outage = Outage::new();
        assert_eq!(outage.call(None).await, [HOME]);
        assert_eq!(outage.call(Some(Kind::Unavailable)).await, [HOME, AWAY]);
        outage.clock.advance(DETOUR / 2);
        assert_eq!(outage.call(None).await, [AWAY]);
        outage.clock.advance(DETOUR / 2);
        assert_eq!(
            outage.call(Some(Kind::DeadlineExceeded)).await,
            [HOME, AWAY]
        );
        outage.clock.advance(DETOUR);
        assert_eq!(outage.call(None).await, [HOME]);
        assert_eq!(outage.call(None).await, [HOME]);
    }

    #[tokio::test]
    async fn a_replica_decides_on_the_ciphertext_and_on_nothing_else() {
        for (answer, decides) in [
            (Kind::InvalidCiphertext, true),
            (Kind::ContextMismatch, true),
            (Kind::KeyVersionGone, true),
            (Kind::PermissionDenied, false),
            (Kind::KeyDisabled, false),
            (Kind::KeyNotFound, false),
            (Kind::Unavailable, false),
        ] {
            let outage = Outage::new();
            for home_is_called in [true, false] {
                let called = Mutex::new(Vec::new());
                let attempt = |key: Arc<RegionalKey>| {
                    let is_home = key.region == HOME;
                    called.lock().push(is_home);
                    let kind = if is_home { Kind::Unavailable } else { answer };
                    async move { Err::<(), _>(key.error(kind)) }.boxed()
                };
                let error = outage.regions.call(attempt).await.unwrap_err();
                let expected = if decides { answer } else { Kind::Unavailable };
                assert_eq!(error.kind(), expected, "{answer:?}");
                let at_home = called.lock().iter().filter(|is_home| **is_home).count();
                let asked_after_all = !home_is_called && !decides;
                assert_eq!(at_home, usize::from(home_is_called || asked_after_all));
            }
        }
    }

    #[tokio::test]
    async fn only_a_call_that_hung_tells_that_home_is_away() {
        for (waited, next) in [(HANGING / 2, HOME), (HANGING, AWAY)] {
            let outage = Outage::new();
            let hanging =
                |_: Arc<RegionalKey>| std::future::pending::<Result<(), ProviderError>>().boxed();
            {
                let call = outage.regions.call(hanging);
                assert!(call.now_or_never().is_none());
            }
            assert_eq!(outage.call(None).await, [HOME], "nothing was waited for");

            let mut call = Box::pin(outage.regions.call(hanging));
            assert!((&mut call).now_or_never().is_none());
            outage.clock.advance(waited);
            drop(call);
            assert_eq!(outage.call(None).await, [next]);
        }
    }
}
