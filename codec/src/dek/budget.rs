//! How many KMS calls the payloads may cost that cannot be opened.
//!
//! A wrapped data key says nothing of itself: only the KMS can tell a good one from a made-up one, and a call costs
//! 10–130 ms and money. So payloads from outside could have any number of calls made. Four rules bound that, in this order:
//!
//! 1. What is known costs nothing: unwrapped data keys are kept, and so are refusals ([`Refusals`](super::refusals)).
//!    They are never counted against a budget, and never refused by one.
//! 2. In one request, [`MAX_FAILED`] wrapped keys may fail. Known refusals count too, so that the same request again
//!    costs no call. Further *unknown* keys of that request are refused without a call.
//! 3. The first unknown payload of every request may always be tried. So a payload that can be opened is opened, however
//!    many requests beside it cannot, and a request costs its sender more than it costs the KMS.
//! 4. Further unknown payloads take tokens that all requests share ([`Failures`]). A payload that opens gives its tokens
//!    back, so payloads that can be opened use none up. While there are no tokens, a request tries one payload at a
//!    time, until one fails.
//!
//! Only failures that concern the payload count. A KMS that cannot be reached is the circuit breaker's matter.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::CacheKey;
use crate::{PayloadError, clock::Clock};

/// Wrapped keys of one request that may fail.
pub(crate) const MAX_FAILED: usize = 16;
/// Failures of all requests together: so many at once, and then one in each interval.
const BURST: usize = 64;
const INTERVAL: Duration = Duration::from_millis(100);

/// The failures that all requests share.
pub(crate) struct Failures {
    tokens: Mutex<Tokens>,
    clock: Arc<dyn Clock>,
}

struct Tokens {
    left: usize,
    filled: Instant,
}

impl Failures {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens: Mutex::new(Tokens {
                left: BURST,
                filled: clock.now(),
            }),
            clock,
        }
    }

    fn take(&self, count: usize) -> bool {
        let now = self.clock.now();
        let mut tokens = self.tokens.lock();
        let waited = now.saturating_duration_since(tokens.filled);
        let fresh = waited.as_nanos() / INTERVAL.as_nanos();
        match u8::try_from(fresh) {
            Ok(fresh) if usize::from(fresh) < BURST => {
                tokens.left = BURST.min(tokens.left + usize::from(fresh));
                tokens.filled += INTERVAL * u32::from(fresh);
            }
            _ => {
                *tokens = Tokens {
                    left: BURST,
                    filled: now,
                };
            }
        }
        match tokens.left.checked_sub(count) {
            Some(left) => {
                tokens.left = left;
                true
            }
            None => false,
        }
    }

    fn give_back(&self, count: usize) {
        let mut tokens = self.tokens.lock();
        tokens.left = BURST.min(tokens.left.saturating_add(count));
    }
}

/// What one request may still try.
pub(crate) struct Budget {
    shared: Arc<Failures>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Wrapped keys that failed, by a call or by a refusal that was known.
    failed: HashSet<CacheKey>,
    /// Wrapped keys that are being tried, and by how many payloads.
    trying: HashMap<CacheKey, usize>,
    /// Calls that asked a second time for a key.
    repeated: usize,
    /// Whether a call has failed.
    has_failed: bool,
}

impl State {
    fn used(&self) -> usize {
        self.failed.len() + self.trying.len() + self.repeated
    }
}

enum Admission {
    Admitted {
        tokens: usize,
    },
    /// Payloads that are being tried may give back what this one needs.
    Wait,
    Refused,
}

impl Budget {
    pub(crate) fn new(shared: &Arc<Failures>) -> Self {
        Self {
            shared: shared.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Counts refusals that were known.
    pub(super) fn knew_refusals(&self, keys: &[CacheKey]) {
        let mut state = self.state.lock();
        if state.failed.len() < MAX_FAILED {
            state.failed.extend(keys);
        }
    }

    /// Permission to try the wrapped keys of one payload. Waits for payloads that are being tried, where they decide.
    pub(super) async fn attempt(&self, keys: Vec<CacheKey>) -> Result<Attempt<'_>, PayloadError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.admit(&keys) {
                Admission::Admitted { tokens } => {
                    return Ok(Attempt {
                        budget: self,
                        keys,
                        tokens,
                        outcome: Outcome::Failed,
                    });
                }
                Admission::Wait => changed.await,
                Admission::Refused => return Err(PayloadError::NotTried),
            }
        }
    }

    fn admit(&self, keys: &[CacheKey]) -> Admission {
        let mut state = self.state.lock();
        let is_new =
            |key: &&CacheKey| !state.failed.contains(*key) && !state.trying.contains_key(*key);
        let new: HashSet<&CacheKey> = keys.iter().filter(is_new).collect();
        let is_idle = state.trying.is_empty();
        let is_first = is_idle && !state.has_failed;
        let tokens = if is_first { 0 } else { new.len() };
        // One payload may have more keys than may fail: version 1 need not say which of many keys it has.
        let is_within =
            new.is_empty() || state.used() == 0 || state.used() + new.len() <= MAX_FAILED;
        if !is_within || !self.shared.take(tokens) {
            return if is_idle {
                Admission::Refused
            } else {
                Admission::Wait
            };
        }
        for key in keys {
            *state.trying.entry(*key).or_default() += 1;
        }
        Admission::Admitted { tokens }
    }
}

/// One payload that is being tried. When it is dropped it has failed, unless something else was said.
pub(super) struct Attempt<'b> {
    budget: &'b Budget,
    keys: Vec<CacheKey>,
    tokens: usize,
    outcome: Outcome,
}

enum Outcome {
    Failed,
    Harmless,
}

impl Attempt<'_> {
    /// The payload opened, or failed by no fault of its own.
    pub(super) fn is_harmless(mut self) {
        self.outcome = Outcome::Harmless;
    }

    /// Whether one more call may be made for this payload.
    pub(super) fn may_repeat(&mut self) -> bool {
        let mut state = self.budget.state.lock();
        let may = state.used() < MAX_FAILED;
        state.repeated += usize::from(may);
        may
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        for key in &self.keys {
            if let Some(count) = state.trying.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    state.trying.remove(key);
                }
            }
        }
        match self.outcome {
            Outcome::Harmless => self.budget.shared.give_back(self.tokens),
            Outcome::Failed => {
                state.has_failed = true;
                state.failed.extend(self.keys.iter().copied());
            }
        }
        drop(state);
        self.budget.changed.notify_waiters();
    }
}
