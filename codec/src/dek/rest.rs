//! A key that refuses rests for a second, so that a key that is disabled is not asked for every payload.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::refusals::KEY_REFUSES;
use crate::{
    clock::{Clock, Moment},
    kms::{ProviderError, ProviderErrorKind},
};

/// What one operation of one key answered last.
///
/// After a refusal the key is not called for a second: callers get the same refusal. Then one call is let through, and
/// its answer decides. Programs that examine a key, such as `Codec::ready`, do not go this way and always ask.
pub(crate) struct Rest {
    state: Mutex<State>,
    /// How long a key that has worked is taken to be in order.
    trust: Duration,
    clock: Arc<dyn Clock>,
}

/// See [`Rest::of_ciphertexts`].
const TRUST: Duration = Duration::from_mins(1);

#[derive(Default)]
struct State {
    refused: Option<Refused>,
    worked: Option<Moment>,
}

struct Refused {
    error: ProviderError,
    at: Moment,
}

impl Rest {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::default(),
            trust: Duration::ZERO,
            clock,
        }
    }

    /// Of an operation on ciphertexts that come from outside. A sender can choose one that the key refuses, such as one
    /// of a version that is disabled. So a refusal counts for the whole key only when the key has not opened anything
    /// for a minute; otherwise that ciphertext alone rests (see [`Refusals`](super::refusals::Refusals)).
    pub(crate) fn of_ciphertexts(clock: Arc<dyn Clock>) -> Self {
        Self {
            trust: TRUST,
            ..Self::new(clock)
        }
    }

    /// # Errors
    /// The key's last refusal, as long as it rests.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        let now = self.clock.moment();
        match &mut self.state.lock().refused {
            Some(refused) if refused.at.age_at(now) < KEY_REFUSES => Err(refused.error.clone()),
            Some(refused) => {
                // This caller's call tells whether the key still refuses; the others wait for its answer.
                refused.at = now;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn learn<T>(&self, answer: &Result<T, ProviderError>) {
        let now = self.clock.moment();
        let mut state = self.state.lock();
        match answer {
            Ok(_) => {
                *state = State {
                    refused: None,
                    worked: Some(now),
                };
            }
            Err(error) if is_the_keys(error) => {
                let is_in_order = state
                    .worked
                    .is_some_and(|worked| worked.age_at(now) < self.trust);
                if !is_in_order {
                    state.refused = Some(Refused {
                        error: error.clone(),
                        at: now,
                    });
                }
            }
            Err(_) => {}
        }
    }
}

/// Whether a key refuses, and not what was given to it.
fn is_the_keys(error: &ProviderError) -> bool {
    use ProviderErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::PermissionDenied
            | Kind::KeyNotFound
            | Kind::KeyDisabled
            | Kind::Misconfigured
            | Kind::Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::tests::ManualClock;

    fn refusal(kind: ProviderErrorKind) -> Result<(), ProviderError> {
        Err(ProviderError::new(kind, &"local://k".parse().unwrap()))
    }

    #[test]
    fn a_key_that_refuses_is_asked_once_a_second() {
        let clock = Arc::new(ManualClock::new());
        let rest = Rest::new(clock.clone());
        rest.check().unwrap();
        for _ in 0..3 {
            rest.learn(&refusal(ProviderErrorKind::KeyDisabled));
            for _ in 0..1000 {
                let error = rest.check().unwrap_err();
                assert_eq!(error.kind(), ProviderErrorKind::KeyDisabled);
            }
            clock.advance(KEY_REFUSES);
            rest.check().unwrap();
            rest.check().unwrap_err();
        }
        rest.learn(&Ok(()));
        rest.check().unwrap();
    }

    #[test]
    fn a_bad_ciphertext_and_an_outage_are_not_the_keys() {
        let rest = Rest::new(Arc::new(ManualClock::new()));
        for kind in [
            ProviderErrorKind::InvalidCiphertext,
            ProviderErrorKind::ContextMismatch,
            ProviderErrorKind::Unavailable,
        ] {
            rest.learn(&refusal(kind));
            rest.check().unwrap();
        }
    }

    #[test]
    fn a_sender_cannot_put_a_key_to_rest_that_works() {
        let clock = Arc::new(ManualClock::new());
        let rest = Rest::of_ciphertexts(clock.clone());
        rest.learn(&Ok(()));
        rest.learn(&refusal(ProviderErrorKind::KeyDisabled));
        rest.check().unwrap();
        clock.advance(TRUST);
        rest.learn(&refusal(ProviderErrorKind::KeyDisabled));
        rest.check().unwrap_err();
    }
}
