//! A key that refuses rests for a second, so that a key that is disabled is not asked for every payload.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::refusals::KEY_REFUSES;
use crate::{
    KeyUri,
    kms::{ProviderError, ProviderErrorKind},
};
use temporal_kms::support::clock::{Clock, Moment};

/// What one operation of one key answered last.
///
/// After a refusal the key is not called for a second: callers get the same refusal. Then one call is let through, and
/// its answer decides. Programs that examine a key, such as `Codec::ready`, do not go this way and always ask.
pub(crate) struct Rest {
    refused: Mutex<Option<Refused>>,
    /// Of operations on ciphertexts that come from outside.
    trust: Option<Trust>,
    clock: Arc<dyn Clock>,
}

struct Refused {
    error: ProviderError,
    at: Moment,
}

struct Trust {
    key: KeyUri,
    worked: Arc<Worked>,
}

impl Rest {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            refused: Mutex::default(),
            trust: None,
            clock,
        }
    }

    /// Of an operation on ciphertexts that come from outside. A sender can choose one that the key refuses: one of a
    /// version that is disabled, or one with a context that the service's own rules forbid. Such a refusal is of that
    /// ciphertext alone (see [`Refusals`](super::refusals::Refusals)), and so is every refusal of a key that has worked
    /// lately.
    pub(super) fn of_ciphertexts(key: &KeyUri, worked: &Arc<Worked>) -> Self {
        Self {
            trust: Some(Trust {
                key: key.clone(),
                worked: worked.clone(),
            }),
            ..Self::new(worked.clock.clone())
        }
    }

    /// # Errors
    /// The key's last refusal, as long as it rests.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        let now = self.clock.moment();
        match &mut *self.refused.lock() {
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
        match answer {
            Ok(_) => self.worked(),
            Err(error) if self.is_the_keys(error) => {
                *self.refused.lock() = Some(Refused {
                    error: error.clone(),
                    at: self.clock.moment(),
                });
            }
            Err(_) => {}
        }
    }

    /// Notes that the key works, or worked when it unwrapped a data key that is still used.
    pub(super) fn worked(&self) {
        if let Some(trust) = &self.trust {
            trust.worked.note(&trust.key);
        }
        *self.refused.lock() = None;
    }

    /// Whether the key refuses everything, and not what was given to it.
    fn is_the_keys(&self, error: &ProviderError) -> bool {
        use ProviderErrorKind as Kind;
        match error.kind() {
            Kind::PermissionDenied | Kind::KeyDisabled => self.trust.is_none(),
            Kind::KeyNotFound | Kind::Misconfigured | Kind::Unsupported => {
                let works = |trust: &Trust| trust.worked.lately(&trust.key);
                !self.trust.as_ref().is_some_and(works)
            }
            _ => false,
        }
    }
}

/// When each key last unwrapped or decrypted something, also for the check of a new data key, or opened a payload by a
/// data key in the cache.
pub(crate) struct Worked {
    keys: Mutex<HashMap<KeyUri, Moment>>,
    /// How long a key is taken to work. A data key is unwrapped once in the time that the cache keeps it.
    lasts: Duration,
    clock: Arc<dyn Clock>,
}

impl Worked {
    pub(super) fn new(lasts: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys: Mutex::default(),
            lasts,
            clock,
        }
    }

    /// `key` is configured: a payload cannot add one.
    pub(super) fn note(&self, key: &KeyUri) {
        let now = self.clock.moment();
        let mut keys = self.keys.lock();
        match keys.get_mut(key) {
            Some(at) => *at = now,
            None => {
                keys.insert(key.clone(), now);
            }
        }
    }

    fn lately(&self, key: &KeyUri) -> bool {
        let now = self.clock.moment();
        let keys = self.keys.lock();
        keys.get(key).is_some_and(|at| at.age_at(now) < self.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporal_kms::support::clock::ManualClock;

    const LASTS: Duration = Duration::from_hours(1);

    fn key() -> KeyUri {
        "local://k".parse().unwrap()
    }

    fn refusal(kind: ProviderErrorKind) -> Result<(), ProviderError> {
        Err(ProviderError::new(kind, &key()))
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
    fn a_sender_cannot_put_a_key_to_rest() {
        let clock = Arc::new(ManualClock::new());
        let worked = Arc::new(Worked::new(LASTS, clock.clone()));
        let rest = Rest::of_ciphertexts(&key(), &worked);
        for kind in [
            ProviderErrorKind::KeyDisabled,
            ProviderErrorKind::PermissionDenied,
            ProviderErrorKind::KeyVersionGone,
            ProviderErrorKind::InvalidCiphertext,
        ] {
            rest.learn(&refusal(kind));
            rest.check().unwrap();
        }
    }

    #[test]
    fn a_key_that_worked_lately_does_not_rest() {
        let clock = Arc::new(ManualClock::new());
        let worked = Arc::new(Worked::new(LASTS, clock.clone()));
        let (unwrapping, decrypting) = (
            Rest::of_ciphertexts(&key(), &worked),
            Rest::of_ciphertexts(&key(), &worked),
        );
        let missing = refusal(ProviderErrorKind::KeyNotFound);
        unwrapping.learn(&missing);
        unwrapping.check().unwrap_err();
        unwrapping.learn(&Ok(()));
        for _ in 0..3 {
            clock.advance(LASTS.saturating_sub(Duration::from_secs(1)));
            for rest in [&unwrapping, &decrypting] {
                rest.learn(&missing);
                rest.check().unwrap();
            }
            // A payload is opened by a data key in the cache, or a new data key is verified.
            worked.note(&key());
        }
        clock.advance(LASTS);
        unwrapping.learn(&missing);
        unwrapping.check().unwrap_err();
    }
}
