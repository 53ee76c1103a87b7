//! The age of data keys and of cached facts about keys, by the clock that shows the greater age.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "shared by this project's own crates only"
)]

use std::time::{Duration, Instant, SystemTime};

/// A source of time. Tests move it by hand.
pub trait Clock: Send + Sync {
    /// The monotonic time. It does not count time during which the machine is suspended.
    fn now(&self) -> Instant;

    /// The wall clock. It counts time during which the machine is suspended, but an operator can set it.
    fn wall(&self) -> SystemTime;

    /// The time by both clocks.
    fn moment(&self) -> Moment {
        Moment {
            monotonic: self.now(),
            wall: self.wall(),
        }
    }
}

/// The operating system's clocks. Where tokio's time is paused, the monotonic one is paused too.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A point in time by both clocks.
///
/// Code compares ages with limits and never adds a limit to a time, so a huge limit cannot overflow.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    /// The time from here to `now`, by the clock that shows more. So keys age while a machine is suspended, and a wall
    /// clock that is set back makes nothing younger.
    #[must_use]
    pub fn age_at(&self, now: Moment) -> Duration {
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        now.monotonic
            .saturating_duration_since(self.monotonic)
            .max(wall)
    }
}

#[cfg(any(test, feature = "test-util"))]
/// A clock that a test moves by hand.
pub struct ManualClock(parking_lot::Mutex<Moment>);

#[cfg(any(test, feature = "test-util"))]
impl ManualClock {
    /// A clock that shows the current time.
    #[allow(
        clippy::new_without_default,
        reason = "the current time is not a neutral value"
    )]
    #[must_use]
    pub fn new() -> Self {
        Self(parking_lot::Mutex::new(SystemClock.moment()))
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut moment = self.0.lock();
        moment.monotonic += by;
        moment.wall += by;
    }

    /// Lets time pass as on a suspended machine: only the wall clock moves.
    pub fn suspend(&self, time: Duration) {
        self.0.lock().wall += time;
    }

    /// Sets the wall clock back, as an operator can.
    pub fn set_back(&self, by: Duration) {
        self.0.lock().wall -= by;
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.0.lock().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.0.lock().wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_suspension_and_ignores_a_clock_that_is_set_back() {
        let clock = ManualClock::new();
        let start = clock.moment();
        clock.advance(Duration::from_secs(5));
        clock.set_back(Duration::from_hours(1));
        assert_eq!(start.age_at(clock.moment()), Duration::from_secs(5));
        clock.suspend(Duration::from_hours(9));
        assert_eq!(
            start.age_at(clock.moment()),
            Duration::from_hours(8) + Duration::from_secs(5)
        );
    }
}
