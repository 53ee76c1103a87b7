//! Deadlines that no operator's number can overflow.

use std::time::Duration;

use tokio::time::Instant;

/// Later than anything that is waited for.
const A_YEAR: Duration = Duration::from_hours(24 * 365);

/// The time so far from now, at most a year.
#[must_use]
pub fn later(duration: Duration) -> Instant {
    Instant::now() + duration.min(A_YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_duration_does_not_overflow() {
        assert!(later(Duration::MAX) > later(Duration::from_secs(1)));
    }
}
