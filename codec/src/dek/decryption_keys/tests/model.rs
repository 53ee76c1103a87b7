//! What callers may be told: a model of the keys, and of what is known of their answers.
//!
//! The model knows every answer of a key, but not when a call ends. So it holds what must happen where nothing fails, and what may
//! happen otherwise.

use std::collections::VecDeque;

use super::*;
use crate::dek::refusals::ALTERED;

/// Each of these data keys is wrapped by the key of its number. For some payloads a second key wraps it too.
pub(super) const DATA_KEYS: u8 = 4;
pub(super) const NAMES: [&str; 9] = ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3", "c"];
/// The key of wrapped data keys that it never made.
pub(super) const OF_MADE_UP: usize = 8;
/// What a key gives in place of a data key.
pub(super) const WRONG: u8 = 77;
/// The data key that sealed payloads which do not open.
const FOREIGN: u8 = 200;

/// Fewer data keys than are in use.
pub(super) const LIMITS: CacheLimits = CacheLimits {
    max_keys: 3,
    ttl: Duration::from_mins(1),
};
const TTL: u64 = LIMITS.ttl.as_secs();
/// Nothing is remembered of a wrapped data key for longer.
pub(super) const REMEMBERED: u64 = ALTERED.as_secs();

/// A payload that a caller wants to open.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sent {
    /// One key wrapped its data key.
    One(u8),
    /// Two keys wrapped its data key.
    Two(u8),
    /// It has the wrapped data key of other payloads, and another one sealed it.
    Copied(u8),
    /// No key wrapped its data key.
    MadeUp(u8),
}

impl Sent {
    fn is_honest(self) -> bool {
        matches!(self, Self::One(_) | Self::Two(_))
    }

    /// The positions of its keys.
    pub(super) fn keys(self) -> Vec<usize> {
        match self {
            Self::One(n) | Self::Copied(n) => vec![usize::from(n)],
            Self::Two(n) => vec![usize::from(n), usize::from(n + DATA_KEYS)],
            Self::MadeUp(_) => vec![OF_MADE_UP],
        }
    }

    pub(super) fn wrapped(self) -> Vec<u8> {
        match self {
            Self::One(n) | Self::Two(n) | Self::Copied(n) => wrapped(n),
            Self::MadeUp(n) => vec![n],
        }
    }

    /// The data key that opens it.
    pub(super) fn sealed_by(self) -> u8 {
        match self {
            Self::One(n) | Self::Two(n) => n,
            Self::Copied(_) | Self::MadeUp(_) => FOREIGN,
        }
    }

    /// Each key is asked at most twice.
    fn most_calls(self) -> usize {
        2 * self.keys().len()
    }
}

/// The keys of these tests wrap in the clear.
pub(super) fn wrapped(data_key: u8) -> Vec<u8> {
    vec![data_key; Dek::LEN]
}

/// What is known of a key.
struct Known {
    always: Answer,
    /// These come first, one after another.
    next: VecDeque<Answer>,
    /// Every answer so far.
    given: Vec<Answer>,
    /// So many of them were given when no call was under way last.
    ended: usize,
    /// How often it began to answer in another way.
    changes: usize,
    /// It gave no right data key after this, in seconds of the monotonic clock.
    right: Option<u64>,
    /// It gave no answer after this that harms later callers.
    harmful: Option<u64>,
    /// It said that it does not exist, and may rest since.
    may_rest: bool,
    /// A data key of it did not open a payload, so it is asked a second time.
    is_doubted: bool,
}

fn is_right(answer: &Answer) -> bool {
    matches!(answer, Answer::Passes | Answer::Takes(_))
}

fn is_wrong(answer: &Answer) -> bool {
    matches!(answer, Answer::Gives(_))
}

/// Whether it is remembered, and harms later callers.
fn is_harmful(answer: &Answer) -> bool {
    match answer {
        Answer::Fails(kind) => !kind.is_transient(),
        Answer::Presumes(_) | Answer::Gives(_) => true,
        _ => false,
    }
}

fn puts_to_rest(answer: &Answer) -> bool {
    matches!(answer, Answer::Fails(ProviderErrorKind::KeyNotFound))
}

/// Whether callers are told of this answer by this error.
fn is_told_by(answer: &Answer, error: &Error) -> bool {
    use ProviderErrorKind::InvalidCiphertext;
    let is_panic = error.to_string().contains("panicked");
    match (answer, error) {
        (Answer::Panics, Error::Provider(_)) => is_panic,
        (Answer::Fails(kind) | Answer::FailsAfter(_, kind), Error::Provider(error)) => {
            *kind == error.kind() && !is_panic
        }
        (
            Answer::Fails(kind) | Answer::Presumes(kind),
            Error::Payload(PayloadError::NotAuthentic),
        ) => *kind == InvalidCiphertext,
        (Answer::Gives(_), Error::Payload(PayloadError::NotAuthentic)) => true,
        _ => false,
    }
}

impl Known {
    fn new() -> Self {
        Self {
            always: Answer::Passes,
            next: VecDeque::new(),
            given: Vec::new(),
            ended: 0,
            changes: 0,
            right: None,
            harmful: None,
            may_rest: false,
            is_doubted: false,
        }
    }

    /// Calls are under way: their answers come now, or later.
    fn goes_on(&mut self, now: u64) {
        for answer in &self.given[self.ended..] {
            if is_right(answer) {
                self.right = Some(now);
            }
            if is_harmful(answer) {
                self.harmful = Some(now);
            }
            self.may_rest |= puts_to_rest(answer);
            self.is_doubted |= is_wrong(answer);
        }
    }

    /// Whether it gives everybody who comes now the right data key, unless it begins to answer in another way.
    fn is_good(&self, now: u64) -> bool {
        let given = self.given[self.ended..].iter();
        let mut answers = given.chain(&self.next).chain([&self.always]);
        let is_forgotten = self.harmful.is_none_or(|at| now - at >= REMEMBERED);
        answers.all(is_right) && is_forgotten && !self.may_rest
    }
}

/// What a caller found at one of its keys when it came.
pub(super) struct Found {
    key: usize,
    /// The calls that it waits for have these answers, from here on.
    given: usize,
    changes: usize,
    is_good: bool,
    /// A right data key may be in the cache.
    may_be_cached: bool,
}

pub(super) struct Model {
    keys: Vec<Known>,
    /// The monotonic time, in seconds.
    now: u64,
    /// Of each request, whether a payload failed or its caller gave up.
    troubled: Vec<bool>,
    /// The calls that may have used up a token.
    charged: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            keys: NAMES.iter().map(|_| Known::new()).collect(),
            now: 0,
            troubled: Vec::new(),
            charged: 0,
        }
    }

    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    pub(super) fn is_doubted(&self, key: usize) -> bool {
        self.keys[key].is_doubted
    }

    pub(super) fn passes(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// A request comes. Returns its number.
    pub(super) fn requests(&mut self) -> usize {
        self.troubled.push(false);
        self.troubled.len() - 1
    }

    /// Other requests take so many tokens.
    pub(super) fn drains(&mut self, tokens: usize) {
        self.charged += tokens;
    }

    /// A key answers so from now on.
    pub(super) fn changes(&mut self, key: usize, answer: Answer) {
        let key = &mut self.keys[key];
        key.changes += 1;
        key.next.clear();
        key.always = answer;
    }

    /// A key gives these answers first.
    pub(super) fn changes_next(&mut self, key: usize, answers: Vec<Answer>) {
        let key = &mut self.keys[key];
        key.changes += 1;
        key.next.extend(answers);
    }

    /// The next answer of a key.
    pub(super) fn answers(&mut self, key: usize) -> Answer {
        let key = &mut self.keys[key];
        let next = key.next.pop_front();
        let answer = next.unwrap_or_else(|| key.always.clone());
        key.given.push(answer.clone());
        key.goes_on(self.now);
        answer
    }

    /// Notes whether calls of a key are under way.
    pub(super) fn looks(&mut self, key: usize, is_asked: bool) {
        let key = &mut self.keys[key];
        if is_asked {
            key.goes_on(self.now);
        } else {
            key.ended = key.given.len();
        }
    }

    pub(super) fn comes(&mut self, sent: Sent) -> Vec<Found> {
        let now = self.now;
        let found = |position: usize| {
            let key = &mut self.keys[position];
            key.is_doubted |= !sent.is_honest();
            Found {
                key: position,
                given: key.ended,
                changes: key.changes,
                is_good: key.is_good(now),
                may_be_cached: key.right.is_some_and(|at| now - at < TTL),
            }
        };
        sent.keys().into_iter().map(found).collect()
    }

    /// All answers of a key so far.
    fn given(&self, found: &Found) -> &[Answer] {
        &self.keys[found.key].given
    }

    /// The answers of calls that a caller may have waited for.
    fn given_since(&self, found: &Found) -> &[Answer] {
        &self.given(found)[found.given..]
    }

    pub(super) fn opens(&mut self, sent: Sent, found: &[Found]) {
        assert!(sent.is_honest(), "{sent:?} opens");
        let may_open = |found: &Found| {
            let given = self.given_since(found);
            found.may_be_cached || given.iter().any(is_right)
        };
        assert!(
            found.iter().any(may_open),
            "{sent:?}: a data key past its time"
        );
        if let [only] = found
            && !self.given_since(only).iter().any(puts_to_rest)
        {
            self.keys[only.key].may_rest = false;
        }
    }

    pub(super) fn fails(&mut self, request: usize, sent: Sent, found: &[Found], error: &Error) {
        assert!(
            self.explains(request, sent, found, error),
            "{sent:?}: no key said so: {error}"
        );
        let stays_good = |found: &Found| {
            let changes = self.keys[found.key].changes;
            found.is_good && found.changes == changes
        };
        if sent.is_honest() && found.iter().any(stays_good) {
            let is_not_tried = matches!(error, Error::Payload(PayloadError::NotTried));
            assert!(
                is_not_tried && self.troubled[request],
                "{sent:?}: nothing failed: {error}"
            );
        }
        self.troubled[request] = true;
        if !error.is_transient() {
            self.charged += sent.most_calls();
        }
    }

    /// Whether a caller may be told this.
    fn explains(&self, request: usize, sent: Sent, found: &[Found], error: &Error) -> bool {
        let is_told = |answer: &Answer| is_told_by(answer, error);
        match error {
            Error::Payload(PayloadError::NotAuthentic) if !sent.is_honest() => true,
            // A data key that is wrong is asked for again, if that is within the budget.
            Error::Payload(PayloadError::NotTried) => {
                let was_wrong = |found: &Found| self.given(found).iter().any(is_wrong);
                self.troubled[request] || !sent.is_honest() || found.iter().any(was_wrong)
            }
            // It is not remembered, so it is of a call that the caller waited for.
            error if error.is_transient() => {
                let was_told = |found: &Found| self.given_since(found).iter().any(is_told);
                found.iter().any(was_told)
            }
            _ => {
                let was_told = |found: &Found| self.given(found).iter().any(is_told);
                found.iter().any(was_told)
            }
        }
    }

    pub(super) fn gives_up(&mut self, request: usize, sent: Sent) {
        self.troubled[request] = true;
        self.charged += sent.most_calls();
    }
}
