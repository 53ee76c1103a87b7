//! Random histories of callers, key service and clocks, checked against a model.
//!
//! Callers come, wait and give up, the key service fails in every way, and clocks jump. Time is simulated, so a history
//! is the same each time.

use std::{pin::pin, task::Poll};

use proptest::{collection::vec, prelude::*};
use tokio::task::JoinHandle;

use super::*;
use crate::dek::refusals::KEY_REFUSES;

const LIMITS: DekLimits = DekLimits {
    max_age: Duration::from_mins(1),
    renew_before: Duration::from_secs(15),
    hard_max_age: Duration::from_mins(10),
    max_messages: 20,
    max_bytes: 2000,
};

#[derive(Clone, Debug)]
enum Event {
    /// A caller comes with a batch.
    Caller { messages: u64, bytes: u64 },
    /// One of the callers that wait gives up.
    GivesUp(usize),
    /// Tasks run for so many turns.
    Turns(usize),
    /// Timers go on.
    Timers(Duration),
    /// Both clocks go on.
    Passes(Duration),
    /// The machine is suspended.
    Suspends(Duration),
    /// The wall clock is set back.
    SetBack(Duration),
    /// The key service answers so from now on.
    Answers(Answer),
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn event() -> impl Strategy<Value = Event> {
    use ProviderErrorKind::{Integrity, KeyDisabled, Throttled, Unavailable};
    let answers = [
        Answer::Passes,
        Answer::Passes,
        Answer::Fails(Unavailable),
        Answer::Fails(Throttled),
        Answer::Fails(Integrity),
        Answer::Fails(KeyDisabled),
        Answer::FailsAfter(Duration::from_millis(700), Unavailable),
        Answer::Takes(Duration::from_millis(700)),
        Answer::Takes(Duration::from_secs(3)),
        Answer::Stalls,
        Answer::Panics,
    ];
    prop_oneof![
        8 => (1..8_u64, 1..800_u64).prop_map(|(messages, bytes)| Event::Caller { messages, bytes }),
        2 => any::<usize>().prop_map(Event::GivesUp),
        6 => (1..6_usize).prop_map(Event::Turns),
        2 => (1..1500_u64).prop_map(|time| Event::Timers(Duration::from_millis(time))),
        3 => seconds(1..70).prop_map(Event::Passes),
        1 => seconds(60..700).prop_map(Event::Passes),
        1 => seconds(1..1000).prop_map(Event::Suspends),
        1 => seconds(1..1000).prop_map(Event::SetBack),
        4 => proptest::sample::select(answers.to_vec()).prop_map(Event::Answers),
    ]
}

/// What the model knows of a data key.
struct Known {
    key: Arc<ActiveKey>,
    /// The monotonic time and the wall clock when it was made, in seconds.
    born: (i64, i64),
    /// What callers got it for. The key itself may have counted more: also a batch that got its successor.
    granted: (u64, u64),
    /// What callers have asked for while it was the current one, or got it for.
    asked: (u64, u64),
}

#[derive(Default)]
struct Model {
    keys: Vec<Known>,
    clocks: (i64, i64),
    /// The latest time that the wall clock has shown. It may have been set back since.
    latest: i64,
    /// How often the key service began to answer in another way.
    changes: usize,
    healthy: bool,
    /// The last refusal was not after this.
    refused: (i64, i64),
}

/// What a caller found when it came.
struct Found {
    current: Option<usize>,
    granted: (u64, u64),
    age: i64,
    /// The key is young, and not spent even if each caller got it.
    is_good: bool,
    /// The key cannot be used, even if the key service is unreachable.
    is_over: bool,
    /// Nothing fails now, and nothing has failed that is still remembered.
    is_clean: bool,
    changes: usize,
}

fn age(born: (i64, i64), now: (i64, i64)) -> i64 {
    (now.0 - born.0).max(now.1 - born.1)
}

const fn whole_seconds(time: Duration) -> i64 {
    time.as_secs().cast_signed()
}

impl Model {
    /// Notices a new key. No clock has moved since it was made.
    fn look(&mut self, active: &ActiveDek) -> Option<usize> {
        let current = active.current.load_full()?;
        let is_known = |known: &Known| Arc::ptr_eq(&known.key, &current.key);
        if let Some(position) = self.keys.iter().position(is_known) {
            assert_eq!(position + 1, self.keys.len(), "an older key is back");
            return Some(position);
        }
        self.keys.push(Known {
            key: current.key.clone(),
            born: self.clocks,
            granted: (0, 0),
            asked: (0, 0),
        });
        Some(self.keys.len() - 1)
    }

    fn comes(&mut self, active: &ActiveDek, messages: u64, bytes: u64) -> Found {
        let current = self.look(active);
        let rests = age(self.refused, self.clocks) <= whole_seconds(KEY_REFUSES);
        let is_clean = self.healthy && !rests && !active.renewal.is_running(&());
        let changes = self.changes;
        let clocks = self.clocks;
        let Some(known) = current.and_then(|current| self.keys.get_mut(current)) else {
            return Found {
                current: None,
                granted: (0, 0),
                age: 0,
                is_good: false,
                is_over: true,
                is_clean,
                changes,
            };
        };
        let age = age(known.born, clocks);
        let spent =
            |(messages, bytes)| messages >= LIMITS.max_messages || bytes >= LIMITS.max_bytes;
        let hard = age >= whole_seconds(LIMITS.hard_max_age);
        let found = Found {
            current,
            granted: known.granted,
            age,
            is_good: age < whole_seconds(LIMITS.max_age) && !spent(known.asked),
            is_over: hard || spent(known.asked),
            is_clean,
            changes,
        };
        known.asked = (known.asked.0 + messages, known.asked.1 + bytes);
        found
    }

    fn gets(
        &mut self,
        active: &ActiveDek,
        found: &Found,
        answer: &Result<Arc<ActiveKey>, Error>,
        (messages, bytes): (u64, u64),
    ) {
        let current = self.look(active);
        let key = match answer {
            Ok(key) => key,
            Err(error) => {
                assert!(!found.is_good, "a good key is not used: {error}");
                assert!(
                    !found.is_clean || found.changes != self.changes,
                    "nothing failed: {error}"
                );
                let expired = found.age >= whole_seconds(LIMITS.max_age);
                let is_over = found.is_over || self.is_too_old(found.current);
                assert!(
                    is_over || expired && !error.is_transient(),
                    "an outage ends a key: {error}"
                );
                return;
            }
        };
        let got = self
            .keys
            .iter()
            .position(|known| Arc::ptr_eq(&known.key, key));
        let got = got.expect("a key that was never the current one");
        assert!(
            Some(got) >= found.current,
            "a key from before the current one"
        );
        if Some(got) == found.current {
            assert_eq!(current, found.current, "two keys are alive");
            assert!(!self.is_too_old(Some(got)), "a key past its hard limit");
            assert!(found.granted.0 < LIMITS.max_messages, "too many messages");
            assert!(found.granted.1 < LIMITS.max_bytes, "too many bytes");
        }
        let known = &mut self.keys[got];
        known.granted = (known.granted.0 + messages, known.granted.1 + bytes);
        if Some(got) != found.current {
            known.asked = (known.asked.0 + messages, known.asked.1 + bytes);
        }
    }

    fn is_too_old(&self, key: Option<usize>) -> bool {
        key.is_some_and(|key| {
            age(self.keys[key].born, self.clocks) >= whole_seconds(LIMITS.hard_max_age)
        })
    }

    /// The key service answers in another way from now on. What it has refused so far was refused before now.
    fn changes(&mut self, answer: &Answer) {
        self.changes += 1;
        let fails = matches!(
            answer,
            Answer::Fails(_) | Answer::FailsAfter(..) | Answer::Panics | Answer::Stalls
        );
        self.healthy = !fails;
        self.refuses_until_now();
    }

    /// A refusal is remembered with the time of both clocks. The wall clock may have shown a later time then.
    fn refuses_until_now(&mut self) {
        self.refused = (self.clocks.0, self.latest);
    }

    fn go_on(&mut self, monotonic: Duration, wall: Duration) {
        self.clocks.0 += whole_seconds(monotonic);
        self.clocks.1 += whole_seconds(wall);
        self.latest = self.latest.max(self.clocks.1);
    }
}

struct History {
    fixture: Fixture,
    model: Arc<Mutex<Model>>,
    waiting: Vec<JoinHandle<()>>,
}

impl History {
    fn new() -> Self {
        Self {
            fixture: fixture(LIMITS),
            model: Arc::new(Mutex::new(Model {
                healthy: true,
                refused: (-10, -10),
                ..Model::default()
            })),
            waiting: Vec::new(),
        }
    }

    /// A task, so that nothing but a wake-up makes it go on.
    fn caller(&mut self, messages: u64, bytes: u64) {
        let (active, model) = (self.fixture.active.clone(), self.model.clone());
        self.waiting.push(tokio::spawn(async move {
            let found = model.lock().comes(&active, messages, bytes);
            let mut answer = pin!(active.acquire(messages, bytes));
            let answer = match futures::poll!(&mut answer) {
                Poll::Ready(answer) => answer,
                Poll::Pending => {
                    assert!(!found.is_good, "a caller waits although its key is good");
                    answer.await
                }
            };
            model
                .lock()
                .gets(&active, &found, &answer, (messages, bytes));
        }));
    }

    async fn happens(&mut self, event: Event) {
        let clock = &self.fixture.clock;
        match event {
            Event::Caller { messages, bytes } => self.caller(messages, bytes),
            Event::GivesUp(_) if self.waiting.is_empty() => {}
            Event::GivesUp(caller) => {
                let caller = caller % self.waiting.len();
                let caller = self.waiting.swap_remove(caller);
                caller.abort();
                if let Err(error) = caller.await {
                    assert!(error.is_cancelled(), "{error}");
                }
            }
            Event::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                    self.model.lock().look(&self.fixture.active);
                }
            }
            Event::Timers(time) => tokio::time::sleep(time).await,
            Event::Passes(time) => {
                clock.advance(time);
                self.model.lock().go_on(time, time);
            }
            Event::Suspends(time) => {
                clock.suspend(time);
                self.model.lock().go_on(Duration::ZERO, time);
            }
            Event::SetBack(time) => {
                clock.set_back(time);
                self.model.lock().clocks.1 -= whole_seconds(time);
            }
            Event::Answers(answer) => {
                self.model.lock().changes(&answer);
                self.fixture.kms.recover();
                self.fixture.kms.always(answer);
                self.fixture.kms.retry_stalled();
            }
        }
        self.look();
        self.pick_up().await;
    }

    fn look(&self) {
        let active = &self.fixture.active;
        let mut model = self.model.lock();
        model.look(active);
        if active.renewal.is_running(&()) {
            // It may end with the answer that it was given before.
            model.refuses_until_now();
        }
    }

    /// Passes on what failed in a task that has ended.
    async fn pick_up(&mut self) {
        for caller in std::mem::take(&mut self.waiting) {
            if caller.is_finished() {
                caller.await.unwrap();
            } else {
                self.waiting.push(caller);
            }
        }
    }

    /// The key service recovers: all who wait get an answer, and nothing is left of those who gave up.
    async fn ends(mut self) {
        self.happens(Event::Answers(Answer::Passes)).await;
        for caller in std::mem::take(&mut self.waiting) {
            let answer = tokio::time::timeout(Duration::from_hours(1), caller).await;
            answer.expect("a caller is never woken").unwrap();
        }
        // A renewal that no caller waits for ends too.
        self.happens(Event::Timers(Duration::from_secs(10))).await;
        assert!(!self.fixture.active.renewal.is_running(&()));
        self.happens(Event::Passes(Duration::from_secs(20))).await;
        self.caller(1, 1);
        self.happens(Event::Timers(Duration::from_secs(10))).await;
        assert!(self.waiting.is_empty(), "a caller waits for nothing");
        assert!(!self.fixture.active.renewal.is_running(&()));
        assert!(
            self.fixture.kms.most_concurrent() <= 1,
            "two data keys at a time"
        );
    }
}

/// A refusal of before the wall clock was set back is remembered until the other clock has gone on.
#[tokio::test(start_paused = true)]
async fn a_refusal_outlives_a_clock_that_is_set_back() {
    let caller = Event::Caller {
        messages: 1,
        bytes: 1,
    };
    let mut history = History::new();
    for event in [
        Event::Answers(Answer::Fails(ProviderErrorKind::KeyDisabled)),
        caller.clone(),
        Event::Turns(1),
        Event::SetBack(Duration::from_secs(337)),
        Event::Answers(Answer::Takes(Duration::from_millis(700))),
        caller,
        Event::Suspends(Duration::from_secs(2)),
        Event::Turns(1),
    ] {
        history.happens(event).await;
    }
    history.ends().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn one_key_is_alive_and_keeps_its_limits(events in vec(event(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut history = History::new();
            for event in events {
                history.happens(event).await;
            }
            history.ends().await;
        });
    }
}
