//! Whether the server can do its work: a latch that opens once and closes once.

use std::{sync::Arc, time::Duration};

use temporal_kms_codec::{Error, kms::ProviderErrorKind};
use tokio::{sync::watch, time::timeout};

use crate::namespaces::Namespaces;

/// How long one round of asking all keys may take.
const ROUND: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Not every key has answered yet.
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

    /// Asks every key until all have answered.
    pub(crate) async fn watch_keys(self: Arc<Self>, namespaces: Arc<Namespaces>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout(ROUND, namespaces.ready()).await {
                Ok(Ok(())) => break,
                // Whoever shows plaintext needs no more than to decrypt, which nothing is there to try with.
                Ok(Err(error)) if is_denied(&error) => {
                    tracing::warn!(%error, "a key cannot be used to encrypt; decoding is all that it is good for");
                    break;
                }
                Ok(Err(error)) => tracing::warn!(%error, "not ready: a key cannot be used"),
                Err(_) => tracing::warn!("not ready: a key management service does not answer"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.advance(State::Ready);
        tracing::info!("ready: every key answers");
    }
}

fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Provider(error) if error.kind() == ProviderErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back() {
        let readiness = Readiness::new();
        assert_eq!(readiness.state(), State::Starting);
        readiness.advance(State::Ready);
        readiness.advance(State::Draining);
        readiness.advance(State::Ready);
        assert_eq!(readiness.state(), State::Draining);
    }
}
