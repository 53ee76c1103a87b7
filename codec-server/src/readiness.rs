//! Whether the server can do its work: a latch that opens once and closes once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use temporal_kms_codec::{
    KeyUri,
    kms::{ProviderError, ProviderErrorKind},
};
use tokio::{sync::watch, time::sleep};

use crate::namespaces::Namespaces;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Some keys have not answered yet.
    Starting,
    /// Every key has answered once.
    Ready,
    /// It is about to stop.
    Draining,
}

pub(crate) struct Readiness(watch::Sender<State>);

impl Readiness {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(State::Starting)))
    }

    pub(crate) fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Never goes back: a key that fails later fails its own requests, and data keys in memory serve the others.
    pub(crate) fn advance(&self, to: State) {
        self.0.send_if_modified(|state| {
            let forward = to > *state;
            if forward {
                *state = to;
            }
            forward
        });
    }

    /// Asks every key until all have answered, be it with a refusal.
    pub(crate) async fn watch_keys(self: Arc<Self>, namespaces: Arc<Namespaces>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let round = Round::of(namespaces.check_keys().await);
            if round.is_settled() {
                round.log_settled();
                return self.advance(State::Ready);
            }
            round.log_waiting();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What the keys said when each was asked once.
#[derive(Debug, Default)]
struct Round {
    usable: usize,
    /// They may not encrypt. A server that shows plaintext needs no more than to decrypt, and there is no ciphertext to
    /// try that with.
    denied: Vec<(KeyUri, ProviderError)>,
    failed: Vec<(KeyUri, ProviderError)>,
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
                Err(error) => round.failed.push((key, error)),
            }
        }
        round
    }

    fn is_settled(&self) -> bool {
        self.failed.is_empty()
    }

    fn log_settled(&self) {
        for (key, error) in &self.denied {
            tracing::warn!(%key, %error, "this key cannot encrypt; decoding may still work");
        }
        if self.denied.is_empty() {
            tracing::info!("ready: every key answers");
        } else {
            let (usable, denied) = (self.usable, self.denied.len());
            tracing::warn!(usable, denied, "ready, but not every key can encrypt");
        }
    }

    fn log_waiting(&self) {
        for (key, error) in self.failed.iter().chain(&self.denied) {
            tracing::warn!(%key, %error, "not ready: this key cannot be used");
        }
    }
}

#[cfg(test)]
mod tests;
