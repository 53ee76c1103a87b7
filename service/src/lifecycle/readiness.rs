//! Whether a server can do its work: its phase, and the conditions that it needs, each with a reason.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use temporal_kms_codec::{
    KeyUri,
    kms::{ProviderError, ProviderErrorKind},
};
use tokio::{sync::watch, time::sleep};

use crate::namespaces::Namespaces;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Some encrypting keys have not answered yet, or all of them are unusable.
    Starting,
    /// Every encrypting key has answered once, and at least one can be used.
    Ready,
    /// The server is about to stop.
    Draining,
}

impl Phase {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// Whether one thing that a server needs is there. Reasons are shown to everybody who can reach the server's address for
/// health, so they name no key and no payload. They say what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is there.
    Met,
    /// The server does its work, and an operator should look.
    Degraded(String),
    /// The server cannot do its work.
    Unmet(String),
}

impl Condition {
    /// Its name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Degraded(_) => "degraded",
            Self::Unmet(_) => "unmet",
        }
    }

    /// Why it is not met.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Met => None,
            Self::Degraded(reason) | Self::Unmet(reason) => Some(reason),
        }
    }
}

/// The condition that every encrypting key has answered.
pub const KEYS: &str = "keys";

/// What a server says about its readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadinessReport {
    /// The phase.
    pub phase: Phase,
    /// The conditions, by their names.
    pub conditions: BTreeMap<&'static str, Condition>,
}

impl ReadinessReport {
    /// Whether load balancers should send requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let unmet = |condition: &Condition| matches!(condition, Condition::Unmet(_));
        self.phase == Phase::Ready && !self.conditions.values().any(unmet)
    }
}

/// The phase that a server is in, and its conditions.
#[derive(Debug)]
pub struct Readiness {
    phase: watch::Sender<Phase>,
    conditions: Mutex<BTreeMap<&'static str, Condition>>,
}

impl Readiness {
    /// [`Phase::Starting`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        let keys = "some keys have not answered yet; the log names them";
        Arc::new(Self {
            phase: watch::Sender::new(Phase::Starting),
            conditions: Mutex::new([(KEYS, Condition::Unmet(keys.to_owned()))].into()),
        })
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Says whether the thing `name` is there, such as `audit` or `configuration`. An unmet condition makes the server not
    /// ready until it is met again.
    pub fn set(&self, name: &'static str, condition: Condition) {
        self.conditions.lock().insert(name, condition);
    }

    /// The phase and all conditions.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        ReadinessReport {
            phase: self.phase(),
            conditions: self.conditions.lock().clone(),
        }
    }

    /// Enters a later phase. It never goes back: a key that fails later fails its own requests, and data keys in memory
    /// serve the others.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = to > *phase;
            if forward {
                *phase = to;
            }
            forward
        });
    }

    /// Asks the encrypting keys until all have answered. A refusal is an answer, so a disabled key does not block the
    /// other namespaces. A server whose keys are all unusable is never ready.
    pub async fn watch_keys(self: Arc<Self>, namespaces: Arc<Namespaces>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let round = Round::of(namespaces.check_keys().await);
            self.set(KEYS, round.condition());
            if round.is_settled() {
                round.log_settled();
                return self.advance(Phase::Ready);
            }
            round.log_waiting();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The answers of the keys when each was asked once.
#[derive(Debug, Default)]
struct Round {
    usable: usize,
    /// Encrypting is not permitted. A decode-only server needs only decrypt, and there is no ciphertext to test it with.
    denied: Vec<(KeyUri, ProviderError)>,
    /// An operator must change something first, such as enable a disabled key.
    broken: Vec<(KeyUri, ProviderError)>,
    /// A later call may succeed.
    unreachable: Vec<(KeyUri, ProviderError)>,
}

impl Round {
    fn of(keys: BTreeMap<KeyUri, Result<(), ProviderError>>) -> Self {
        let mut round = Self::default();
        for (key, checked) in keys {
            match checked {
                Ok(()) => round.usable += 1,
                Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => {
                    round.denied.push((key, error));
                }
                Err(error) if error.is_transient() => round.unreachable.push((key, error)),
                Err(error) => round.broken.push((key, error)),
            }
        }
        round
    }

    fn is_settled(&self) -> bool {
        // With static keys alone there is nothing to ask.
        let answers = self.usable > 0 || !self.denied.is_empty() || self.broken.is_empty();
        self.unreachable.is_empty() && answers
    }

    fn condition(&self) -> Condition {
        let failed = self.denied.len() + self.broken.len() + self.unreachable.len();
        let all = failed + self.usable;
        let reason =
            || format!("{failed} of {all} encrypting keys cannot be used; the log names them");
        match failed {
            0 => Condition::Met,
            _ if self.is_settled() => Condition::Degraded(reason()),
            _ => Condition::Unmet(reason()),
        }
    }

    fn log_settled(&self) {
        for (key, error) in &self.denied {
            tracing::warn!(%key, %error, "this key cannot encrypt; decoding may still work");
        }
        for (key, error) in &self.broken {
            tracing::warn!(%key, %error, "this key cannot be used; other keys are served");
        }
        let (usable, denied, broken) = (self.usable, self.denied.len(), self.broken.len());
        if denied + broken == 0 {
            tracing::info!("ready: every encrypting key answers");
        } else {
            tracing::warn!(
                usable,
                denied,
                broken,
                "ready, but not every key can encrypt"
            );
        }
    }

    fn log_waiting(&self) {
        let keys = self.unreachable.iter().chain(&self.broken);
        for (key, error) in keys.chain(&self.denied) {
            tracing::warn!(%key, %error, "not ready: this key cannot be used");
        }
    }
}

#[cfg(test)]
mod tests;
