//! How many KMS calls the payloads may cost that cannot be opened.
//!
//! A wrapped data key says nothing of itself: only the KMS can tell a good one from a made-up one, and a call costs
//! 10–130 ms and money. So payloads from outside could have any number of calls made. Five rules bound that:
//!
//! 1. What is known costs nothing: unwrapped data keys are kept, and so are refusals ([`Refusals`](super::refusals)).
//!    No rule refuses a payload whose data key is known. A known refusal uses up no call of rule 2 and no token.
//! 2. In one request, [`MAX_FAILED`] calls may fail. Further payloads of that request with an *unknown* key are refused
//!    without a call. Only a single payload with more keys than that may exceed the number: version 1 need not say which
//!    of the configured keys it has.
//! 3. The first unknown payload of a request is tried unless rule 5 refuses it. Other requests do not matter. So a payload
//!    that can be opened is opened, however many requests beside it cannot, and a request costs its sender more than it costs the KMS.
//! 4. Calls for further unknown payloads take tokens that all requests share ([`Failures`]). A payload that opens gives
//!    its tokens back, so payloads that can be opened use none up. While there are no tokens, a request tries one
//!    payload at a time, until one fails.
//! 5. A payload that was refused by rule 2 or 4 is remembered for [`SKIPPED`]. Meanwhile a request refuses it again,
//!    without a call, if the request's known bad payloads and failed calls together exceed [`MAX_FAILED`]. So the same
//!    request again costs no call. In a request without them the payload is tried. Payloads that are being tried may open, so it
//!    waits for them where they decide.
//!
//! A call fails when it was made and did not open its payload. A KMS that cannot be reached is the circuit breaker's
//! matter, and is not counted. Neither is an answer that came without a call of this request's own. A data key that the
//! KMS gives and that does not open its payload is asked for once more, and then it is known: the two calls count.
//!
//! Payloads that open are not bounded. Direct mode takes a call for each, but only one for equal ones in a request.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::cache_key::CacheKey;
use crate::PayloadError;
use temporal_kms::support::clock::{Clock, Moment};

/// Calls of one request that may fail.
pub(crate) const MAX_FAILED: usize = 16;
/// Failures of all requests together: so many at once, and then one in each interval.
const BURST: usize = 64;
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a payload is remembered that was not tried.
pub(super) const SKIPPED: Duration = Duration::from_mins(2);
/// One takes about 100 bytes.
const MAX_SKIPPED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// The failures that all requests share, and the payloads that were not tried because of them.
pub(crate) struct Failures {
    tokens: Mutex<Tokens>,
    skipped: Mutex<LruCache<CacheKey, Moment>>,
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
            skipped: Mutex::new(LruCache::unbounded()),
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

    /// Remembers a payload that was not tried, from its first refusal on: one that is sent all the time is tried again too.
    fn skip(&self, key: CacheKey) {
        let now = self.clock.moment();
        let mut skipped = self.skipped.lock();
        let is_remembered = |at: &Moment| at.age_at(now) < SKIPPED;
        if !skipped.get(&key).is_some_and(is_remembered) {
            skipped.push(key, now);
        }
        while skipped.len() > MAX_SKIPPED.get() {
            skipped.pop_lru();
        }
    }

    fn was_skipped(&self, key: &CacheKey) -> bool {
        let now = self.clock.moment();
        let mut skipped = self.skipped.lock();
        skipped.get(key).is_some_and(|at| at.age_at(now) < SKIPPED)
    }
}

/// What one request may still try, and what it has learned that no other request needs.
pub(crate) struct Budget {
    shared: Arc<Failures>,
    state: Mutex<State>,
    changed: Notify,
    /// The plaintexts of direct mode, which no cache keeps. Together they are not longer than the request.
    plaintexts: Mutex<HashMap<CacheKey, Plaintext>>,
}

pub(super) type Plaintext = Arc<Zeroizing<Vec<u8>>>;

#[derive(Default)]
struct State {
    /// Calls that failed.
    failed: usize,
    /// Calls that the payloads may make that are being tried.
    reserved: usize,
    /// Wrapped keys that were known not to open their payloads.
    known: HashSet<CacheKey>,
}

impl State {
    fn used(&self) -> usize {
        self.failed + self.reserved
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
            plaintexts: Mutex::default(),
        }
    }

    /// Notes wrapped keys that were known not to open their payload.
    pub(super) fn knew(&self, keys: &[CacheKey]) {
        let mut state = self.state.lock();
        if state.known.len() <= MAX_FAILED {
            state.known.extend(keys);
        }
    }

    /// The plaintext of an equal payload of the request.
    pub(super) fn plaintext(&self, of: &CacheKey) -> Option<Plaintext> {
        self.plaintexts.lock().get(of).cloned()
    }

    pub(super) fn keep_plaintext(&self, of: CacheKey, plaintext: Plaintext) {
        self.plaintexts.lock().insert(of, plaintext);
    }

    /// Permission to make one call for each of the unknown wrapped keys of one payload. Waits for payloads that are being
    /// tried, where they decide.
    pub(super) async fn attempt(&self, keys: &[CacheKey]) -> Result<Attempt<'_>, PayloadError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.admit(keys) {
                Admission::Admitted { tokens } => {
                    return Ok(Attempt {
                        budget: self,
                        reserved: keys.len(),
                        tokens,
                        made: Arc::default(),
                        outcome: Outcome::Failed,
                    });
                }
                Admission::Wait => changed.await,
                Admission::Refused => {
                    if let Some(key) = keys.first() {
                        self.shared.skip(*key);
                    }
                    return Err(PayloadError::NotTried);
                }
            }
        }
    }

    fn admit(&self, keys: &[CacheKey]) -> Admission {
        let mut state = self.state.lock();
        let (calls, used) = (keys.len(), state.used());
        let bad = state.known.len() + state.failed;
        let is_over = |bad: usize| bad > 0 && bad + calls > MAX_FAILED;
        let was_skipped = || keys.first().is_some_and(|key| self.shared.was_skipped(key));
        if is_over(bad + state.reserved) && was_skipped() {
            return if is_over(bad) {
                Admission::Refused
            } else {
                Admission::Wait
            };
        }
        let is_idle = state.reserved == 0;
        let is_first = used == 0;
        let tokens = if is_first { 0 } else { calls };
        let is_within = is_first || used + calls <= MAX_FAILED;
        if !is_within || !self.shared.take(tokens) {
            return if is_idle {
                Admission::Refused
            } else {
                Admission::Wait
            };
        }
        state.reserved += calls;
        Admission::Admitted { tokens }
    }
}

/// One payload that is being tried. When it is dropped it has failed, unless something else was said.
pub(super) struct Attempt<'b> {
    budget: &'b Budget,
    reserved: usize,
    tokens: usize,
    made: Arc<AtomicUsize>,
    outcome: Outcome,
}

enum Outcome {
    Failed,
    Harmless,
}

/// Counts the calls of an attempt. A call may be driven by others who wait for the same answer.
#[derive(Clone)]
pub(super) struct Made(Arc<AtomicUsize>);

impl Made {
    pub(super) fn one(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Attempt<'_> {
    pub(super) fn made(&self) -> Made {
        Made(self.made.clone())
    }

    /// The payload opened, or failed by no fault of its own.
    pub(super) fn harmless(mut self) {
        self.outcome = Outcome::Harmless;
    }

    /// Whether one more call may be made for this payload.
    pub(super) fn may_repeat(&mut self) -> bool {
        let mut state = self.budget.state.lock();
        // The first payload takes no tokens.
        let token = usize::from(self.tokens > 0);
        let may = state.used() < MAX_FAILED && self.budget.shared.take(token);
        if may {
            state.reserved += 1;
            self.reserved += 1;
            self.tokens += token;
        }
        may
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let failed = match self.outcome {
            Outcome::Failed => self.made.load(Relaxed).min(self.reserved),
            Outcome::Harmless => 0,
        };
        let mut state = self.budget.state.lock();
        state.reserved -= self.reserved;
        state.failed += failed;
        // Another payload of the request is refused if it sees that none is being tried while tokens are missing.
        let unused = self.tokens.saturating_sub(failed);
        self.budget.shared.give_back(unused);
        drop(state);
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
impl Failures {
    /// The tokens that are missing.
    pub(super) fn missing(&self) -> usize {
        BURST - self.tokens.lock().left
    }

    /// Takes all tokens, as failed calls of other requests do. Returns how many there were.
    pub(super) fn drain(&self) -> usize {
        std::mem::take(&mut self.tokens.lock().left)
    }
}

#[cfg(test)]
impl Budget {
    /// The calls that payloads may make which are being tried.
    pub(super) fn reserved(&self) -> usize {
        self.state.lock().reserved
    }
}
