//! The circuit breaker: after failures, it stops calls to an unreachable service for a while.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{KeyUri, ProviderError, ProviderErrorKind};

/// After several failures in a row, calls fail at once, so that callers do not wait and the service is not flooded.
/// After a pause, one call passes as a probe. Its outcome decides for all calls.
///
/// Only transient failures count. A refusal shows that the service is reachable.
pub(super) struct Breaker {
    failures_to_open: u32,
    pause: Duration,
    /// A call counts as a failure if its caller gives up after at least this time.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        since: Instant,
    },
    /// The probe is running. If its caller gives up, another probe may start after the pause.
    Probing {
        since: Instant,
    },
}

impl Breaker {
    pub(super) fn new(failures_to_open: u32, pause: Duration, patience: Duration) -> Self {
        Self {
            failures_to_open,
            pause,
            patience,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// # Errors
    /// While the breaker is open.
    pub(super) fn admit<'a>(&'a self, key: &'a KeyUri) -> Result<Admitted<'a>, ProviderError> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { since } | State::Probing { since } if since.elapsed() >= self.pause => {
                *state = State::Probing {
                    since: Instant::now(),
                };
            }
            State::Open { .. } | State::Probing { .. } => {
                return Err(
                    ProviderError::new(ProviderErrorKind::Unavailable, key).with_detail(
                        "it failed several times just now, so it is not called for a moment",
                    ),
                );
            }
        }
        Ok(Admitted {
            breaker: self,
            key,
            called: Mutex::default(),
            has_ended: false,
        })
    }

    fn learn(&self, key: &KeyUri, failed: bool) {
        let mut state = self.state.lock();
        let failures = match *state {
            _ if !failed => {
                *state = State::Closed { failures: 0 };
                return;
            }
            State::Closed { failures } => failures.saturating_add(1),
            State::Open { .. } => return,
            State::Probing { .. } => self.failures_to_open,
        };
        if failures >= self.failures_to_open {
            *state = State::Open {
                since: Instant::now(),
            };
            tracing::warn!(%key, pause = ?self.pause, "the key management service cannot be reached; calls pause");
        } else {
            *state = State::Closed { failures };
        }
    }
}

/// A call that passed the breaker. It reports its outcome to the breaker.
pub(super) struct Admitted<'a> {
    breaker: &'a Breaker,
    key: &'a KeyUri,
    /// When the service was first called. A call that still waits for its turn proves nothing about the service.
    called: Mutex<Option<Instant>>,
    has_ended: bool,
}

impl Admitted<'_> {
    pub(super) fn calls(&self) {
        self.called.lock().get_or_insert_with(Instant::now);
    }

    pub(super) fn ended<T>(mut self, answer: &Result<T, ProviderError>) {
        self.has_ended = true;
        let failed = answer.as_ref().is_err_and(ProviderError::is_transient);
        self.breaker.learn(self.key, failed);
    }
}

impl Drop for Admitted<'_> {
    /// A caller that gives up early has lost interest. A caller that waited as long as one attempt may take has met a
    /// service that hangs. Otherwise callers with short deadlines would keep the breaker closed forever.
    fn drop(&mut self) {
        let called = *self.called.lock();
        let hangs = called.is_some_and(|called| called.elapsed() >= self.breaker.patience);
        if !self.has_ended && hangs {
            self.breaker.learn(self.key, true);
        }
    }
}
