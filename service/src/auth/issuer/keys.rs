//! The keys of an issuer: fetched when they are needed, kept, and fetched again for a key that is not known.

use std::{fmt, sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{
    algorithm::Algorithm,
    config::KeyTimes,
    discovery::{IssuerError, discover},
    key::{Candidates, Key, KeySet},
};
use crate::auth::{
    refused::{Refused, TokenFault},
    web::Web,
};

/// The keys of one issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct IssuerKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    source: Source,
    web: Web,
    times: KeyTimes,
    state: Mutex<State>,
}

/// Where the keys are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) issuer: String,
    pub(super) url: Url,
    /// Without it, discovery says where.
    pub(super) jwks_url: Option<Url>,
}

#[derive(Default)]
struct State {
    known: Option<(Arc<KeySet>, Instant)>,
    last_attempt: Option<Instant>,
    has_failed: bool,
    running: Option<Fetch>,
}

/// A fetch that goes on when its callers leave, so that a client that hangs up cannot keep others from new keys.
type Fetch = Shared<BoxFuture<'static, ()>>;

impl IssuerKeys {
    pub(super) fn new(name: &str, source: Source, web: Web, times: KeyTimes) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            source,
            web,
            times,
            state: Mutex::default(),
        }))
    }

    /// Whether these are the keys of `source`, kept as long as `times` says.
    pub(super) fn are_of(&self, source: &Source, times: KeyTimes) -> bool {
        self.0.source == *source && self.0.times == times
    }

    /// Fetches the keys, unless they are known or were asked for a moment ago.
    pub(super) async fn warm_up(&self) {
        if self.usable().is_none()
            && let Some(fetch) = self.fetch()
        {
            fetch.await;
        }
    }

    /// Calls `try_key` with each key that may have signed a token, until it returns true.
    ///
    /// # Errors
    /// When the issuer does not have such a key, or cannot be reached and no keys are known.
    pub(super) async fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        try_key: impl Fn(&Key) -> bool,
    ) -> Result<bool, Refused> {
        let set = self.current().await.ok_or(Refused::Unavailable)?;
        if let Some(verified) = attempt(&set, id, algorithm, &try_key)? {
            return Ok(verified);
        }
        // The issuer may have a new key. Random ids cause one fetch for each pause. Another caller's fetch may have ended
        // meanwhile.
        if let Some(fetch) = self.fetch() {
            fetch.await;
        }
        let set = self.usable().ok_or(Refused::Unavailable)?;
        attempt(&set, id, algorithm, &try_key)?.ok_or(Refused::Token(TokenFault::Key))
    }

    /// The keys, fetched again when they are old.
    async fn current(&self) -> Option<Arc<KeySet>> {
        let max_age = self.0.times.max_age;
        let (age, has_failed) = self.age();
        if age.is_some_and(|age| age < max_age / 4 * 3) {
            return self.usable();
        }
        let fetch = self.fetch();
        // Before the keys are too old, and while the issuer is unreachable, callers need not wait. Otherwise they do:
        // keys that the issuer has withdrawn must not count for longer.
        let is_old = age.is_none_or(|age| age >= max_age);
        let usable = self.usable();
        if (is_old && !has_failed) || usable.is_none() {
            if let Some(fetch) = fetch {
                fetch.await;
            }
            return self.usable();
        }
        usable
    }

    /// The age of the keys that are known, and whether the last attempt to fetch newer ones failed.
    fn age(&self) -> (Option<Duration>, bool) {
        let state = self.0.state.lock();
        let age = state.known.as_ref().map(|(_, fetched)| fetched.elapsed());
        (age, state.has_failed)
    }

    /// The keys that are known, unless they are too old to be used at all.
    fn usable(&self) -> Option<Arc<KeySet>> {
        let state = self.0.state.lock();
        let (set, fetched) = state.known.as_ref()?;
        (fetched.elapsed() < self.0.times.hard_max_age).then(|| Arc::clone(set))
    }

    /// The fetch that runs, or a new one. `None` when the last one was a moment ago.
    fn fetch(&self) -> Option<Fetch> {
        let mut state = self.0.state.lock();
        if let Some(running) = &state.running
            && running.peek().is_none()
        {
            return Some(running.clone());
        }
        let pause = self.0.times.pause;
        if state
            .last_attempt
            .is_some_and(|last| last.elapsed() < pause)
        {
            return None;
        }
        state.last_attempt = Some(Instant::now());
        let keys = self.clone();
        let task = tokio::spawn(async move { keys.fetch_now().await });
        let fetch = async { drop(task.await) }.boxed().shared();
        state.running = Some(fetch.clone());
        Some(fetch)
    }

    async fn fetch_now(&self) {
        let fetched = self.download().await;
        let mut state = self.0.state.lock();
        state.has_failed = fetched.is_err();
        match fetched {
            Ok(set) => {
                tracing::debug!(issuer = %self.0.name, keys = set.len(), "fetched the issuer's keys");
                state.known = Some((Arc::new(set), Instant::now()));
            }
            Err(error) => {
                tracing::warn!(issuer = %self.0.name, %error, "the issuer's keys cannot be fetched");
            }
        }
        // The pause begins when the answer is there.
        state.last_attempt = Some(Instant::now());
        state.running = None;
    }

    async fn download(&self) -> Result<KeySet, IssuerError> {
        let Source {
            issuer,
            url,
            jwks_url,
        } = &self.0.source;
        let found = match jwks_url {
            Some(keys) => keys.clone(),
            None => discover(&self.0.web, issuer, url).await?.keys,
        };
        let set = KeySet::new(self.0.web.get(&found).await?);
        match set.len() {
            0 => Err(IssuerError::NoKeys),
            _ => Ok(set),
        }
    }
}

/// `None` when the set has no key with this id.
pub(super) fn attempt(
    set: &KeySet,
    id: Option<&str>,
    algorithm: Algorithm,
    try_key: &impl Fn(&Key) -> bool,
) -> Result<Option<bool>, Refused> {
    match set.candidates(id, algorithm) {
        Candidates::Keys(keys) => Ok(Some(keys.into_iter().any(try_key))),
        Candidates::UnknownKey => Ok(None),
        Candidates::WrongAlgorithm => Err(TokenFault::Algorithm.into()),
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("known", &self.known)
            .field("last_attempt", &self.last_attempt)
            .field("has_failed", &self.has_failed)
            .field("is_running", &self.running.is_some())
            .finish()
    }
}
