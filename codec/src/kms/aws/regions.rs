use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::client::RegionalKey;
use crate::{
    KeyUri,
    clock::Clock,
    kms::{ProviderError, ProviderErrorKind as Kind},
};

/// How long calls go to a replica first after the key's own region was away.
const DETOUR: Duration = Duration::from_secs(30);

/// A call that was given up after this long tells that the region is away; sooner, that the caller lost interest.
const HANGING: Duration = Duration::from_secs(1);

/// A key in its own region and, if it is a multi-region key, its replicas.
///
/// A replica is called only while the key's own region is away. What the key's own region refuses is refused; what a
/// replica refuses is its own region's to decide.
pub(super) struct Regions {
    home: RegionalKey,
    replicas: Vec<RegionalKey>,
    away_until: Mutex<Option<Instant>>,
    clock: Arc<dyn Clock>,
}

impl Regions {
    pub(super) fn new(
        home: RegionalKey,
        replicas: Vec<RegionalKey>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            home,
            replicas,
            away_until: Mutex::new(None),
            clock,
        }
    }

    pub(super) fn uri(&self) -> &KeyUri {
        &self.home.uri
    }

    /// Whether `key` is this key, by the name that it has in any of the regions.
    pub(super) fn have(&self, key: &KeyUri) -> bool {
        let name = |regional: &RegionalKey| regional.name.to_string();
        key == self.uri()
            || (key.kms() == self.uri().kms()
                && self
                    .replicas
                    .iter()
                    .map(name)
                    .any(|name| name == key.resource()))
    }

    /// Makes a call where it can be served.
    pub(super) async fn call<'a, T>(
        &'a self,
        attempt: impl Fn(&'a RegionalKey) -> BoxFuture<'a, Result<T, ProviderError>> + Send + Sync,
    ) -> Result<T, ProviderError> {
        if self.replicas.is_empty() {
            return attempt(&self.home).await;
        }
        let mut failure = None;
        if self.is_home_there() {
            match self.call_home(attempt(&self.home)).await {
                Err(error) if is_away(&error) => failure = Some(error),
                decided => return decided,
            }
        }
        for replica in &self.replicas {
            match attempt(replica).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tracing::warn!(
                    key = %self.uri(), region = replica.region, error = error.kind().name(),
                    "a replica of the key did not serve the call either"
                ),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => self.call_home(attempt(&self.home)).await,
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
            Err(error) if is_away(error) => self.avoid_home(error.kind().name()),
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
            "the key's own region is away; its replicas are called"
        );
    }
}

/// A damaged answer is no reason to ask elsewhere: the same region is asked again.
fn is_away(error: &ProviderError) -> bool {
    matches!(
        error.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Throttled
    )
}

/// Notices when the caller gives up on a call that hangs.
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
        let replicas: Vec<_> = self
            .replicas
            .iter()
            .map(|replica| &replica.region)
            .collect();
        f.debug_struct("Regions")
            .field("uri", self.uri())
            .field("region", &self.home.region)
            .field("replicas", &replicas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::{Client, Config};
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        clock::tests::ManualClock,
        kms::aws::{client, name::KeyName},
    };

    const HOME: &str = "eu-west-1";
    const AWAY: &str = "us-west-2";

    fn regional(region: &str) -> RegionalKey {
        let arn = format!("arn:aws:kms:{region}:111122223333:key/mrk-1");
        let name = KeyName::of(&format!("aws-kms://{arn}").parse().unwrap()).unwrap();
        let config = Config::builder().behavior_version(client::behavior());
        RegionalKey {
            uri: format!("aws-kms://arn:aws:kms:{HOME}:111122223333:key/mrk-1")
                .parse()
                .unwrap(),
            name,
            region: region.to_owned(),
            kms: Client::from_conf(config.build()),
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
            let (home, replicas) = (regional(HOME), vec![regional(AWAY)]);
            Self {
                regions: Regions::new(home, replicas, clock.clone()),
                clock,
                called: Mutex::default(),
            }
        }

        /// Makes a call that fails with `home` in the home region, and returns where it was made.
        async fn call(&self, home: Option<Kind>) -> Vec<String> {
            let attempt = |key: &RegionalKey| {
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
    async fn only_a_call_that_hung_tells_that_home_is_away() {
        for (waited, next) in [(HANGING / 2, HOME), (HANGING, AWAY)] {
            let outage = Outage::new();
            let hanging =
                |_: &RegionalKey| std::future::pending::<Result<(), ProviderError>>().boxed();
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
