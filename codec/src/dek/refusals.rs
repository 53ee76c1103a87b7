//! Wrapped keys and ciphertexts that a KMS refused, so that the same payload costs no second call.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;

use super::cache_key::CacheKey;
use crate::{Error, kms::ProviderErrorKind};
use temporal_kms::support::clock::{Clock, Moment};

/// A refusal takes about 300 bytes.
const MAX_REFUSALS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// How long a ciphertext that is not of the key, or was altered, is not tried again. Nothing but the KMS's own mistake can
/// make it good.
pub(super) const ALTERED: Duration = Duration::from_mins(10);
/// How long a ciphertext is not tried again after the key refused it, or a provider presumed that it is altered: an operator
/// may enable or grant the key any time, and the token may have failed.
pub(super) const KEY_REFUSES: Duration = Duration::from_secs(1);

/// The last refusals by ciphertext. The least recently used one makes room.
pub(crate) struct Refusals {
    known: Mutex<LruCache<CacheKey, Refusal>>,
    clock: Arc<dyn Clock>,
}

struct Refusal {
    error: Error,
    at: Moment,
    lasts: Duration,
}

impl Refusals {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            known: Mutex::new(LruCache::unbounded()),
            clock,
        }
    }

    /// What the KMS said of this ciphertext, as long as that holds.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Error> {
        let now = self.clock.moment();
        let mut known = self.known.lock();
        match known.get(key) {
            Some(refusal) if refusal.at.age_at(now) < refusal.lasts => Some(refusal.error.clone()),
            Some(_) => {
                known.pop(key);
                None
            }
            None => None,
        }
    }

    /// Remembers a refusal. A failure that may pass, such as a KMS that cannot be reached, is not remembered.
    pub(super) fn learn(&self, key: CacheKey, error: Option<&Error>) {
        let Some(error) = error.filter(|error| !error.is_transient()) else {
            return;
        };
        let lasts = if is_the_ciphertexts(error) {
            ALTERED
        } else {
            KEY_REFUSES
        };
        let mut known = self.known.lock();
        known.push(
            key,
            Refusal {
                error: error.clone(),
                at: self.clock.moment(),
                lasts,
            },
        );
        while known.len() > MAX_REFUSALS.get() {
            known.pop_lru();
        }
    }

    pub(super) fn clear(&self) {
        self.known.lock().clear();
    }
}

/// Whether a refusal is the fault of what was given to the key. A version that is destroyed is as good as never there,
/// and any altered ciphertext may name one.
pub(super) fn is_the_ciphertexts(refusal: &Error) -> bool {
    match refusal {
        Error::Payload(_) => true,
        Error::Provider(error) => error.kind() == ProviderErrorKind::KeyVersionGone,
        Error::Configuration(_) | Error::DecryptOnly => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PayloadError, kms::ProviderError};
    use temporal_kms::support::clock::ManualClock;

    fn key(n: u32) -> CacheKey {
        CacheKey::direct(&"local://k".parse().unwrap(), &n.to_be_bytes())
    }

    fn of_the_key(kind: ProviderErrorKind) -> Error {
        ProviderError::new(kind, &"local://k".parse().unwrap()).into()
    }

    #[test]
    fn each_refusal_lasts_as_long_as_it_can_hold() {
        let clock = Arc::new(ManualClock::new());
        let refusals = Refusals::new(clock.clone());
        refusals.learn(key(1), Some(&PayloadError::NotAuthentic.into()));
        let disabled = of_the_key(ProviderErrorKind::KeyDisabled);
        refusals.learn(key(2), Some(&disabled));
        let away = of_the_key(ProviderErrorKind::Unavailable);
        refusals.learn(key(3), Some(&away));
        let gone = of_the_key(ProviderErrorKind::KeyVersionGone);
        refusals.learn(key(4), Some(&gone));
        assert!(refusals.get(&key(1)).is_some() && refusals.get(&key(2)).is_some());
        assert!(refusals.get(&key(3)).is_none(), "an outage is remembered");

        clock.advance(KEY_REFUSES);
        assert!(refusals.get(&key(1)).is_some() && refusals.get(&key(2)).is_none());
        assert!(
            refusals.get(&key(4)).is_some(),
            "it is the ciphertext's fault"
        );
        clock.advance(ALTERED);
        assert!(refusals.get(&key(1)).is_none());
    }

    #[test]
    fn their_number_is_bounded() {
        let refusals = Refusals::new(Arc::new(ManualClock::new()));
        for n in 0..20_000 {
            refusals.learn(key(n), Some(&PayloadError::NotAuthentic.into()));
        }
        assert_eq!(refusals.known.lock().len(), MAX_REFUSALS.get());
        assert!(refusals.get(&key(0)).is_none() && refusals.get(&key(19_999)).is_some());
    }
}
