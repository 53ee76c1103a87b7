use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{Around, Attempt, Call};
use crate::{
    clock::Clock,
    kms::{ProviderError, ProviderErrorKind},
};

/// Spares a service that is away, and the callers the wait: after some failures in a row calls fail at once. When the
/// pause is over, one call is let through as a probe; its outcome decides for all.
///
/// Only transient failures count. A service that refuses is there.
pub(super) struct Breaker<A> {
    failures_to_open: u32,
    pause: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    inner: A,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// The probe is under way. Should it be given up, another one may start after the pause.
    Probing {
        until: Instant,
    },
}

impl<A> Breaker<A> {
    pub(super) fn new(
        failures_to_open: u32,
        pause: Duration,
        clock: Arc<dyn Clock>,
        inner: A,
    ) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self {
            failures_to_open,
            pause,
            clock,
            state,
            inner,
        }
    }

    fn admits(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } | State::Probing { until } if now >= until => {
                *state = State::Probing {
                    until: now + self.pause,
                };
                true
            }
            State::Open { .. } | State::Probing { .. } => false,
        }
    }

    fn learn(&self, key: &crate::KeyUri, failed: bool) {
        let mut state = self.state.lock();
        let failures = match *state {
            _ if !failed => {
                *state = State::Closed { failures: 0 };
                return;
            }
            State::Closed { failures } => failures + 1,
            State::Open { .. } => return,
            State::Probing { .. } => self.failures_to_open,
        };
        if failures >= self.failures_to_open {
            *state = State::Open {
                until: self.clock.now() + self.pause,
            };
            tracing::warn!(%key, pause = ?self.pause, "the key management service is away; calls pause");
        } else {
            *state = State::Closed { failures };
        }
    }
}

impl<A: Around> Around for Breaker<A> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        Box::pin(async move {
            if !self.admits() {
                return Err(ProviderError::new(ProviderErrorKind::Unavailable, call.key)
                    .with_detail(
                        "it failed several times just now, so it is not called for a moment",
                    ));
            }
            let answer = self.inner.call(call, attempt).await;
            self.learn(
                call.key,
                answer.as_ref().is_err_and(ProviderError::is_transient),
            );
            answer
        })
    }
}
