//! Whether a server can do its work: its phase, and the conditions that it needs, each with a reason.

mod keys;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use temporal_kms_codec::{
    KeyUri,
    kms::{MeasuredCall, MetricsSink, Operation},
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use self::keys::{Answers, Keys};
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

/// The condition that every encrypting key can be used.
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
    keys: Mutex<Keys>,
    /// A call has shown that a key is unreachable.
    key_failed: Notify,
}

impl Readiness {
    /// [`Phase::Starting`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        let keys = "some keys have not answered yet; the log names them";
        Arc::new(Self {
            phase: watch::Sender::new(Phase::Starting),
            conditions: Mutex::new([(KEYS, Condition::Unmet(keys.to_owned()))].into()),
            keys: Mutex::default(),
            key_failed: Notify::new(),
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

    /// Asks the encrypting keys until all have answered, and again each time that a call shows an unreachable one. A
    /// refusal is an answer, so a disabled key does not block the other namespaces. A server whose keys are all unusable
    /// when it starts is not ready until one can be used. It runs until the task is aborted.
    pub async fn watch_keys(self: Arc<Self>, namespaces: Arc<Namespaces>) {
        loop {
            self.ask_keys(&namespaces).await;
            while self.keys.lock().are_settled() {
                self.key_failed.notified().await;
            }
            sleep(FIRST_PAUSE).await;
        }
    }

    /// Asks the encrypting keys until all have answered.
    async fn ask_keys(&self, namespaces: &Namespaces) {
        let mut pause = FIRST_PAUSE;
        loop {
            let answers = namespaces.check_keys().await;
            if self.learn_answers(&answers) {
                return keys::log_settled(&answers);
            }
            keys::log_waiting(&answers, self.phase());
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the keys are settled after these answers.
    fn learn_answers(&self, answers: &Answers) -> bool {
        let mut keys = self.keys.lock();
        *keys = Keys::of(answers);
        let are_settled = keys.are_settled();
        if are_settled {
            self.advance(Phase::Ready);
        }
        self.set(KEYS, keys.condition(self.phase()));
        are_settled
    }
}

/// Calls of the keys show outages and recoveries, so nothing needs to ask the key service while it works.
impl MetricsSink for Readiness {
    fn ended(&self, call: &MeasuredCall<'_>) {
        let mut keys = self.keys.lock();
        if !keys.learn(call.operation, call.key, call.outcome) {
            return;
        }
        self.set(KEYS, keys.condition(self.phase()));
        if !keys.are_settled() {
            self.key_failed.notify_one();
        }
    }

    fn retried(&self, _: Operation, _: &KeyUri) {}
}

#[cfg(test)]
mod tests;
