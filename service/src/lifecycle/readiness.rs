//! Whether a server can do its work: it becomes ready once, and stops once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// The phase that a server is in.
#[derive(Debug)]
pub struct Readiness(watch::Sender<Phase>);

impl Readiness {
    /// [`Phase::Starting`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Phase::Starting)))
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Enters a later phase. It never goes back: a key that fails later fails its own requests, and data keys in memory
    /// serve the others.
    pub fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
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
        self.unreachable.is_empty() && (self.usable > 0 || !self.denied.is_empty())
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
