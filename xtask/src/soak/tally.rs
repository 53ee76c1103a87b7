//! What the clients and the measurements have seen so far.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::plan::Phase;

/// How long after an outage a request may still fail: the circuit breaker's pause, and the rest of a call.
const RECOVERY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It needs the active data key only.
    Encode,
    /// It needs the active data key only, which is in the cache.
    DecodeNew,
    /// It may need the key service.
    DecodeOld,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Failed,
    /// The answer is not what was encoded.
    Wrong,
}

impl Outcome {
    pub(super) fn of(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Failed }
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
    pub(super) failed: u64,
    /// When each request began, and how many milliseconds it took, while the key service was quick.
    pub(super) times: Vec<Sample>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) encode: Requests,
    pub(super) decode_new: Requests,
    pub(super) decode_old: Requests,
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

    /// Counts a request that has ended now.
    pub(super) fn note(&self, operation: Operation, started: Instant, outcome: Outcome) {
        let took = started.elapsed().as_secs_f64() * 1e3;
        let mut state = self.lock();
        let may_fail = operation == Operation::DecodeOld && state.was_down_since(started);
        let is_quick = state.phase.is_quick();
        let tally = &mut state.tally;
        let requests = match operation {
            Operation::Encode => &mut tally.encode,
            Operation::DecodeNew => &mut tally.decode_new,
            Operation::DecodeOld => &mut tally.decode_old,
        };
        requests.sent += 1;
        match outcome {
            Outcome::Done if is_quick => {
                requests.times.push(self.sample(started, took));
            }
            Outcome::Done => {}
            Outcome::Failed if may_fail => requests.excused += 1,
            Outcome::Failed => requests.failed += 1,
            Outcome::Wrong => tally.wrong += 1,
        }
    }

    /// What was counted until now, when the load has ended.
    pub(super) fn finish(self) -> Tally {
        let seconds = self.started.elapsed().as_secs_f64();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_the_key_service_may_fail_and_only_while_it_is_down() {
        let shared = Shared::new();
        let fail = |operation| shared.note(operation, Instant::now(), Outcome::Failed);
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
        assert_eq!(tally.outages, 1);
    }

    #[test]
    fn a_wrong_answer_is_never_excused() {
        let shared = Shared::new();
        shared.enter(Phase::Lies);
        shared.note(Operation::DecodeOld, Instant::now(), Outcome::Wrong);
        let tally = shared.finish();
        assert_eq!((tally.wrong, tally.decode_old.excused), (1, 0));
    }
}
