//! Random histories of requests, keys and clocks, checked against the model.
//!
//! Callers come together, wait and give up. Keys are slow, fail, panic and answer differently a second time. Data keys leave the
//! cache, tokens run out, and clocks jump. Time is simulated, so a history is the same each time.

use std::{pin::pin, task::Poll};

use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::task::JoinHandle;

use super::{
    model::{DATA_KEYS, LIMITS, Model, NAMES, OF_MADE_UP, REMEMBERED, Sent, WRONG, wrapped},
    *,
};

/// Only a caller that is never woken waits so long.
const FOR_EVER: Duration = Duration::from_hours(1);

#[derive(Clone, Debug)]
enum Event {
    /// Callers come at once with the payloads of one request.
    Request(Vec<Sent>),
    /// One of the callers that wait gives up.
    GivesUp(usize),
    /// Tasks run for so many turns.
    Turns(usize),
    /// Timers go on.
    Timers(Duration),
    /// Both clocks go on, in seconds.
    Passes(u64),
    /// The machine is suspended.
    Suspends(u64),
    /// The wall clock is set back.
    SetBack(u64),
    /// A key answers so from now on.
    Answers(usize, Answer),
    /// A key gives these answers first, one after another.
    AnswersNext(usize, Vec<Answer>),
    /// Other requests take all tokens.
    Drains,
    /// Everything is forgotten that is known of wrapped data keys.
    Forgets,
}

fn honest() -> impl Strategy<Value = Sent> {
    prop_oneof![
        4 => (0..DATA_KEYS).prop_map(Sent::One),
        1 => (0..DATA_KEYS).prop_map(Sent::Two),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => honest(),
        1 => (0..DATA_KEYS).prop_map(Sent::Copied),
        1 => any::<u8>().prop_map(Sent::MadeUp),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    use ProviderErrorKind::{
        InvalidCiphertext, KeyDisabled, KeyNotFound, KeyVersionGone, Throttled, Unavailable,
    };
    select(vec![
        Answer::Passes,
        Answer::Passes,
        Answer::Passes,
        Answer::Takes(Duration::from_millis(700)),
        Answer::Takes(Duration::from_secs(3)),
        Answer::Fails(Unavailable),
        Answer::Fails(Throttled),
        Answer::FailsAfter(Duration::from_millis(700), Unavailable),
        Answer::Fails(InvalidCiphertext),
        Answer::Fails(KeyVersionGone),
        Answer::Fails(KeyDisabled),
        Answer::Fails(KeyNotFound),
        Answer::Presumes(InvalidCiphertext),
        Answer::Stalls,
        Answer::Panics,
        Key(WRONG),
    ])
}

fn event() -> impl Strategy<Value = Event> {
    let clocks = prop_oneof![
        3 => (1..70_u64).prop_map(Event::Passes),
        1 => (REMEMBERED..2 * REMEMBERED).prop_map(Event::Passes),
        1 => (1..1000_u64).prop_map(Event::Suspends),
        1 => (1..1000_u64).prop_map(Event::SetBack),
    ];
    let answers = (0..OF_MADE_UP, answer());
    let answers_next = (0..OF_MADE_UP, vec(answer(), 1..4));
    prop_oneof![
        6 => vec(honest(), 1..10).prop_map(Event::Request),
        4 => vec(sent(), 1..10).prop_map(Event::Request),
        3 => any::<usize>().prop_map(Event::GivesUp),
        8 => (1..6_usize).prop_map(Event::Turns),
        2 => (1..1500_u64).prop_map(|time| Event::Timers(Duration::from_millis(time))),
        6 => clocks,
        4 => answers.prop_map(|(key, answer)| Event::Answers(key, answer)),
        3 => answers_next.prop_map(|(key, answers)| Event::AnswersNext(key, answers)),
        1 => Just(Event::Drains),
        1 => Just(Event::Forgets),
    ]
}

/// A caller that waits.
struct Waiting {
    task: JoinHandle<()>,
    request: usize,
    sent: Sent,
}

/// The names of the keys of a payload, each with the wrapped data key.
fn named(sent: Sent, wrapped: &[u8]) -> Vec<(&'static str, &[u8])> {
    let named = |key: usize| (NAMES[key], wrapped);
    sent.keys().into_iter().map(named).collect()
}

/// Whether the data key of a payload is known, so that it opens without a call.
fn is_known(fixture: &Fixture, sent: Sent) -> bool {
    let wrapped = sent.wrapped();
    let recipients = recipients(&named(sent, &wrapped));
    let decryption = &fixture.decryption;
    let first = decryption.first_choice(&recipients, &EncryptionContext::empty());
    let known = first.and_then(|first| decryption.known(&first));
    known.is_some_and(|key| key.is_same(&Dek::new([sent.sealed_by(); Dek::LEN])))
}

struct History {
    fixture: Arc<Fixture>,
    model: Arc<Mutex<Model>>,
    /// Of each request.
    budgets: Vec<Arc<Budget>>,
    waiting: Vec<Waiting>,
    /// What the cache calls the wrapped data key of each key.
    cached: Vec<CacheKey>,
}

impl History {
    fn new() -> Self {
        let fixture = Arc::new(with_limits(NAMES, &LIMITS));
        let model = Arc::new(Mutex::new(Model::new()));
        for (position, key) in fixture.keys.iter().enumerate() {
            let model = model.clone();
            key.script(move |_| Some(model.lock().answers(position)));
        }
        let cached = |(data_key, key): (u8, &Arc<FaultyKey>)| {
            let wrapped = WrappedDek::new(wrapped(data_key));
            CacheKey::new(key.uri(), &wrapped, &EncryptionContext::empty())
        };
        let data_keys = (0..DATA_KEYS).cycle();
        let keys = fixture.keys.iter().take(OF_MADE_UP);
        let cached = data_keys.zip(keys).map(cached).collect();
        Self {
            fixture,
            model,
            budgets: Vec::new(),
            waiting: Vec::new(),
            cached,
        }
    }

    /// A task, so that nothing but a wake-up makes it go on.
    fn caller(&mut self, request: usize, sent: Sent) {
        let (fixture, model) = (self.fixture.clone(), self.model.clone());
        let budget = self.budgets[request].clone();
        let task = tokio::spawn(async move {
            let is_known = is_known(&fixture, sent);
            let found = model.lock().comes(sent);
            let wrapped = sent.wrapped();
            let named = named(sent, &wrapped);
            let mut opened = pin!(fixture.open_in(&budget, &named, sent.sealed_by()));
            let opened = match futures::poll!(&mut opened) {
                Poll::Ready(opened) => opened,
                Poll::Pending => {
                    assert!(!is_known, "{sent:?} waits although its data key is known");
                    opened.await
                }
            };
            match opened {
                Ok(()) => model.lock().opens(sent, &found),
                Err(error) => {
                    assert!(!is_known, "{sent:?}: its data key is known: {error}");
                    model.lock().fails(request, sent, &found, &error);
                }
            }
        });
        self.waiting.push(Waiting {
            task,
            request,
            sent,
        });
    }

    async fn happens(&mut self, event: Event) {
        let clock = &self.fixture.clock;
        match event {
            Event::Request(payloads) => {
                let budget = self.fixture.decryption.budget();
                self.budgets.push(Arc::new(budget));
                let request = self.model.lock().requests();
                for sent in payloads {
                    self.caller(request, sent);
                }
            }
            Event::GivesUp(_) if self.waiting.is_empty() => {}
            Event::GivesUp(caller) => {
                let caller = caller % self.waiting.len();
                let Waiting {
                    task,
                    request,
                    sent,
                } = self.waiting.swap_remove(caller);
                self.model.lock().gives_up(request, sent);
                task.abort();
                if let Err(error) = task.await {
                    assert!(error.is_cancelled(), "{error}");
                }
            }
            Event::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                    self.look();
                }
            }
            Event::Timers(time) => tokio::time::sleep(time).await,
            Event::Passes(seconds) => {
                clock.advance(Duration::from_secs(seconds));
                self.model.lock().passes(seconds);
            }
            Event::Suspends(seconds) => clock.suspend(Duration::from_secs(seconds)),
            Event::SetBack(seconds) => clock.set_back(Duration::from_secs(seconds)),
            Event::Answers(key, answer) => {
                self.model.lock().changes(key, answer);
                self.fixture.keys[key].retry_stalled();
            }
            Event::AnswersNext(key, answers) => self.model.lock().changes_next(key, answers),
            Event::Drains => {
                let tokens = self.fixture.decryption.failures.drain();
                self.model.lock().drains(tokens);
            }
            Event::Forgets => self.fixture.decryption.cache.clear(),
        }
        self.look();
        self.pick_up().await;
    }

    /// Notes which calls are under way.
    fn look(&self) {
        let cache = &self.fixture.decryption.cache;
        for (key, name) in self.cached.iter().enumerate() {
            let is_asked = cache.is_asking(name);
            self.model.lock().looks(key, is_asked);
        }
    }

    /// Passes on what failed in a task that has ended.
    async fn pick_up(&mut self) {
        for caller in std::mem::take(&mut self.waiting) {
            if caller.task.is_finished() {
                caller.task.await.unwrap();
            } else {
                self.waiting.push(caller);
            }
        }
    }

    /// The keys recover: all who wait get an answer, and nothing is left of those who gave up.
    async fn ends(mut self) {
        for key in 0..OF_MADE_UP {
            self.happens(Event::Answers(key, Answer::Passes)).await;
        }
        for caller in std::mem::take(&mut self.waiting) {
            let ended = tokio::time::timeout(FOR_EVER, caller.task).await;
            ended.expect("a caller is never woken").unwrap();
        }
        self.leaves_nothing();

        self.happens(Event::Passes(2 * REMEMBERED)).await;
        let budget = self.fixture.decryption.budget();
        for sent in (0..DATA_KEYS).map(Sent::One) {
            let wrapped = sent.wrapped();
            let named = named(sent, &wrapped);
            let opened = self.fixture.open_in(&budget, &named, sent.sealed_by());
            let opened = tokio::time::timeout(FOR_EVER, opened).await;
            opened.expect("a caller waits for nothing").unwrap();
        }
        self.leaves_nothing();
    }

    fn leaves_nothing(&self) {
        let Fixture {
            decryption, keys, ..
        } = &*self.fixture;
        assert!(decryption.cache.is_idle(), "a call is still under way");
        let mut reserved = self.budgets.iter().map(|budget| budget.reserved());
        assert!(reserved.all(|calls| calls == 0), "calls are still reserved");
        let model = self.model.lock();
        let (missing, charged) = (decryption.failures.missing(), model.charged());
        assert!(missing <= charged, "{missing} tokens for {charged} calls");
        for (position, key) in keys.iter().enumerate().take(OF_MADE_UP) {
            // A data key may leave the cache while it is asked for a second time. Then a first call is made beside.
            let most = if model.is_doubted(position) { 2 } else { 1 };
            let calls = key.most_concurrent();
            assert!(calls <= most, "{calls} calls at a time for one data key");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn callers_share_one_call_and_its_answer(events in vec(event(), 1..60)) {
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
