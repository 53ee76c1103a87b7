//! What the clients and the measurements have seen so far.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::plan::Phase;

/// How long after an outage a request may still fail: the circuit breaker's pause, and the rest of a call.
const RECOVERY: Duration = Duration::from_secs(3);
/// How long after the last burst of large requests the server may still refuse others: the memory of
/// large ones is released when their answers have been read.
const AFTER_BURST: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It needs the active data key only.
    Encode,
    /// It needs the active data key only, which is in the cache.
    DecodeNew,
    /// It may need the key service.
    DecodeOld,
    /// A request of 4 MiB. It needs the active data key only, as [`Encode`](Self::Encode).
    EncodeLarge,
    /// It comes later than [`DecodeNew`](Self::DecodeNew), because the server is busy. So it may need the key service.
    DecodeLarge,
}

impl Operation {
    /// Its name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::DecodeNew => "decode",
            Self::DecodeOld => "decode old",
            Self::EncodeLarge => "encode 4 MiB",
            Self::DecodeLarge => "decode 4 MiB",
        }
    }

    fn may_need_key_service(self) -> bool {
        matches!(self, Self::DecodeOld | Self::DecodeLarge)
    }

    fn is_large(self) -> bool {
        matches!(self, Self::EncodeLarge | Self::DecodeLarge)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Status 429 with `Retry-After`: the server has too much to do.
    Busy,
    /// Status 503 with `Retry-After`: a key cannot be used now, or the server has too much to do.
    Unavailable,
    /// Another status, or no answer.
    Failed(Option<u16>),
    /// The answer is not what was encoded.
    Wrong,
}

impl Outcome {
    fn status(self) -> Option<u16> {
        match self {
            Self::Done | Self::Wrong => Some(200),
            Self::Busy => Some(429),
            Self::Unavailable => Some(503),
            Self::Failed(status) => status,
        }
    }
}

/// A number that was measured at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Seconds since the start.
    pub(super) at: f64,
    pub(super) value: f64,
}

/// The requests of one operation.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) sent: u64,
    /// That may fail, because the key service was down.
    pub(super) excused: u64,
    /// That the server refused for the moment, because many large ones came at once.
    pub(super) refused: u64,
    pub(super) failed: u64,
    /// When each request began, and how many milliseconds it took, while the key service was quick.
    pub(super) times: Vec<Sample>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) encode: Requests,
    pub(super) decode_new: Requests,
    pub(super) decode_old: Requests,
    pub(super) encode_large: Requests,
    pub(super) decode_large: Requests,
    /// How often requests failed without need, by what was answered.
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) wrong: u64,
    pub(super) rotations: u64,
    pub(super) outages: u64,
    /// The memory of the server, in MiB.
    pub(super) memory: Vec<Sample>,
    /// How long the load lasted, in seconds.
    pub(super) seconds: f64,
}

/// What all threads of a soak share.
pub(super) struct Shared {
    started: Instant,
    stopped: AtomicBool,
    state: Mutex<State>,
}

struct State {
    tally: Tally,
    phase: Phase,
    /// When the last outage ended.
    recovered: Option<Instant>,
    /// How many clients send large requests now.
    bursts: usize,
    /// When one of them last ended.
    burst_ended: Option<Instant>,
}

/// The large requests of one client at once. They end when this is dropped.
pub(super) struct Burst<'s>(&'s Shared);

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.bursts = state.bursts.saturating_sub(1);
        state.burst_ended = Some(Instant::now());
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            stopped: AtomicBool::new(false),
            state: Mutex::new(State {
                tally: Tally::default(),
                phase: Phase::Works,
                recovered: None,
                bursts: 0,
                burst_ended: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the load early.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// The time since the load began.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase.is_outage() {
            state.recovered = Some(Instant::now());
        }
        state.tally.outages += u64::from(phase.is_outage());
        state.phase = phase;
    }

    pub(super) fn rotated(&self) {
        self.lock().tally.rotations += 1;
    }

    /// Notes how many MiB of memory the server has now.
    pub(super) fn measured(&self, mib: f64) {
        let sample = self.sample(Instant::now(), mib);
        self.lock().tally.memory.push(sample);
    }

    fn sample(&self, at: Instant, value: f64) -> Sample {
        let at = at.saturating_duration_since(self.started).as_secs_f64();
        Sample { at, value }
    }

    /// Begins large requests. Until they have ended, and for a moment after that, the server may refuse requests.
    pub(super) fn burst(&self) -> Burst<'_> {
        self.lock().bursts += 1;
        Burst(self)
    }

    /// Counts a request that has ended now.
    pub(super) fn note(&self, operation: Operation, started: Instant, outcome: Outcome) {
        let took = started.elapsed().as_secs_f64() * 1e3;
        let mut state = self.lock();
        let was_down = state.was_down_since(started);
        let may_fail = operation.may_need_key_service() && was_down;
        let was_crowded = state.was_crowded_since(started);
        let is_quick = state.phase.is_quick();
        let tally = &mut state.tally;
        let requests = match operation {
            Operation::Encode => &mut tally.encode,
            Operation::DecodeNew => &mut tally.decode_new,
            Operation::DecodeOld => &mut tally.decode_old,
            Operation::EncodeLarge => &mut tally.encode_large,
            Operation::DecodeLarge => &mut tally.decode_large,
        };
        requests.sent += 1;
        match outcome {
            Outcome::Done if is_quick => {
                requests.times.push(self.sample(started, took));
            }
            Outcome::Done => {}
            Outcome::Wrong => tally.wrong += 1,
            Outcome::Busy if was_crowded => requests.refused += 1,
            _ if may_fail => requests.excused += 1,
            // During an outage, the key would be the reason, which this request does not need the key service for.
            Outcome::Unavailable if operation.is_large() && was_crowded && !was_down => {
                requests.refused += 1;
            }
            _ => {
                requests.failed += 1;
                let name = operation.name();
                let answer = match outcome.status() {
                    Some(status) => format!("{name}: status {status}"),
                    None => format!("{name}: no answer"),
                };
                *tally.failures.entry(answer).or_default() += 1;
            }
        }
    }

    /// What was counted until now, when the load has ended.
    pub(super) fn finish(self) -> Tally {
        let seconds = self.age().as_secs_f64();
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        Tally {
            seconds,
            ..state.tally
        }
    }
}

impl State {
    /// Whether the key service was down at any time since `started`, or a moment before.
    fn was_down_since(&self, started: Instant) -> bool {
        self.phase.is_outage() || self.recovered.is_some_and(|at| at + RECOVERY > started)
    }

    /// Whether large requests came at any time since `started`, or a moment before.
    fn was_crowded_since(&self, started: Instant) -> bool {
        let is_recent = |at: Instant| at + AFTER_BURST > started;
        self.bursts > 0 || self.burst_ended.is_some_and(is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_the_key_service_may_fail_and_only_while_it_is_down() {
        let shared = Shared::new();
        let fail = |operation| shared.note(operation, Instant::now(), Outcome::Failed(Some(500)));
        fail(Operation::DecodeOld);
        shared.enter(Phase::Down);
        fail(Operation::DecodeOld);
        fail(Operation::DecodeNew);
        fail(Operation::Encode);
        shared.enter(Phase::Works);
        fail(Operation::DecodeOld);
        let tally = shared.finish();
        assert_eq!((tally.decode_old.failed, tally.decode_old.excused), (1, 2));
        assert_eq!((tally.decode_new.failed, tally.encode.failed), (1, 1));
        let failures: Vec<_> = tally.failures.into_iter().collect();
        let expected = ["decode old", "decode", "encode"];
        let expected = expected.map(|operation| (format!("{operation}: status 500"), 1));
        assert_eq!(failures, expected);
        assert_eq!(tally.outages, 1);
    }

    #[test]
    fn a_wrong_answer_is_never_excused() {
        let shared = Shared::new();
        crowd(&shared);
        shared.enter(Phase::Lies);
        shared.note(Operation::DecodeOld, Instant::now(), Outcome::Wrong);
        shared.note(Operation::DecodeLarge, Instant::now(), Outcome::Wrong);
        let tally = shared.finish();
        assert_eq!((tally.wrong, tally.decode_old.excused), (2, 0));
        let large = tally.decode_large;
        assert_eq!((large.excused, large.refused), (0, 0));
    }

    /// How a request is counted that began now, after `happen`: failed, and refused.
    fn counted(happen: impl Fn(&Shared), operation: Operation, outcome: Outcome) -> (u64, u64) {
        counted_at(happen, operation, Instant::now(), outcome)
    }

    fn counted_at(
        happen: impl Fn(&Shared),
        operation: Operation,
        started: Instant,
        outcome: Outcome,
    ) -> (u64, u64) {
        let shared = Shared::new();
        happen(&shared);
        shared.note(operation, started, outcome);
        let tally = shared.finish();
        let all = [
            tally.encode,
            tally.decode_new,
            tally.decode_old,
            tally.encode_large,
            tally.decode_large,
        ];
        let sum = |count: fn(&Requests) -> u64| all.iter().map(count).sum();
        assert_eq!(sum(|requests| requests.sent), 1);
        (
            sum(|requests| requests.failed),
            sum(|requests| requests.refused),
        )
    }

    /// Large requests begin, and do not end.
    fn crowd(shared: &Shared) {
        std::mem::forget(shared.burst());
    }

    #[test]
    fn the_server_may_refuse_while_there_are_many_large_requests() {
        use Operation::{DecodeLarge, DecodeOld, Encode, EncodeLarge};
        use Outcome::{Busy, Failed, Unavailable};

        for operation in [Encode, DecodeOld] {
            assert_eq!(counted(|_| {}, operation, Busy), (1, 0));
            assert_eq!(counted(crowd, operation, Busy), (0, 1));
            assert_eq!(counted(crowd, operation, Unavailable), (1, 0));
        }
        for operation in [EncodeLarge, DecodeLarge] {
            assert_eq!(counted(crowd, operation, Busy), (0, 1));
            assert_eq!(counted(crowd, operation, Unavailable), (0, 1));
            assert_eq!(counted(crowd, operation, Failed(None)), (1, 0));
        }
    }

    #[test]
    fn refusals_are_failures_when_the_large_requests_ended_long_ago() {
        let over = |shared: &Shared| {
            let (first, second) = (shared.burst(), shared.burst());
            drop((first, second));
        };
        let one_is_left = |shared: &Shared| {
            crowd(shared);
            over(shared);
        };
        let later = Instant::now() + Duration::from_mins(1);
        let busy = |happen: &dyn Fn(&Shared), started| {
            counted_at(happen, Operation::Encode, started, Outcome::Busy)
        };
        assert_eq!(busy(&over, Instant::now()), (0, 1));
        assert_eq!(busy(&over, later), (1, 0));
        assert_eq!(busy(&one_is_left, later), (0, 1));
    }

    #[test]
    fn what_needs_the_active_data_key_only_is_served_during_an_outage() {
        let down = |shared: &Shared| {
            crowd(shared);
            shared.enter(Phase::Down);
        };
        let unavailable = |operation| counted(down, operation, Outcome::Unavailable);
        assert_eq!(unavailable(Operation::EncodeLarge), (1, 0));
        // It is excused.
        assert_eq!(unavailable(Operation::DecodeLarge), (0, 0));
        assert_eq!(counted(down, Operation::EncodeLarge, Outcome::Busy), (0, 1));
    }
}
