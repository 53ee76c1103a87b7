//! When the key service works, and when it does not.

use std::time::Duration;

/// The longest phase.
const LONGEST: Duration = Duration::from_secs(10);

/// How the key service behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It gets a new version of the key, and works.
    Rotates,
    Works,
    /// It takes 300 ms for each answer.
    Slow,
    /// It refuses three calls, because there are too many. A call has four attempts.
    Throttles,
    /// It fails two calls.
    Flaps,
    /// Each connection closes without an answer.
    Down,
    /// It takes connections and does not answer.
    Hangs,
    /// The checksums of its answers do not match.
    Lies,
}

/// A key service that works comes after each one that does not, so that each recovery is seen.
const CYCLE: [Phase; 12] = [
    Phase::Rotates,
    Phase::Down,
    Phase::Works,
    Phase::Slow,
    Phase::Throttles,
    Phase::Works,
    Phase::Hangs,
    Phase::Works,
    Phase::Flaps,
    Phase::Lies,
    Phase::Works,
    Phase::Works,
];

impl Phase {
    /// The faults of the fake, as it names them.
    pub(super) fn faults(self) -> &'static [&'static str] {
        match self {
            Self::Rotates | Self::Works => &[],
            Self::Slow => &["latency=300ms"],
            Self::Throttles => &["status=429*3"],
            Self::Flaps => &["status=503*2"],
            Self::Down => &["dead"],
            Self::Hangs => &["latency=60000ms"],
            Self::Lies => &["wrong-crc"],
        }
    }

    /// Whether a request that needs the key service has to fail.
    pub(super) fn is_outage(self) -> bool {
        matches!(self, Self::Down | Self::Hangs | Self::Lies)
    }

    /// Whether answers take the time that they take without faults.
    pub(super) fn is_quick(self) -> bool {
        matches!(self, Self::Rotates | Self::Works)
    }
}

/// The phase after `elapsed` of `total`, and how many cycles are over.
pub(super) fn at(elapsed: Duration, total: Duration) -> (Phase, usize) {
    let length = LONGEST.min(total / u32::try_from(CYCLE.len()).unwrap_or(1));
    let number = elapsed.as_micros() / length.as_micros().max(1);
    let number = usize::try_from(number).unwrap_or_default();
    let phase = CYCLE.get(number % CYCLE.len());
    (phase.copied().unwrap_or(Phase::Works), number / CYCLE.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_has_every_phase_and_a_long_one_repeats_them() {
        let short = Duration::from_secs(12);
        let phases: Vec<_> = (0..12)
            .map(|second| at(Duration::from_secs(second), short))
            .collect();
        assert!(phases.iter().map(|(phase, _)| *phase).eq(CYCLE));
        let long = Duration::from_mins(30);
        assert_eq!(at(Duration::ZERO, long), (Phase::Rotates, 0));
        assert_eq!(at(Duration::from_secs(11), long), (Phase::Down, 0));
        assert_eq!(at(Duration::from_secs(131), long), (Phase::Down, 1));
    }

    #[test]
    fn the_service_works_after_each_outage() {
        for pair in CYCLE.windows(2) {
            assert!(!pair[0].is_outage() || !pair[1].is_outage(), "{pair:?}");
        }
    }
}
