//! Repeats what failed for a passing reason, such as a server that is unreachable for a moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::task::StepError;

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The attempts of a step, with growing pauses between them.
pub(super) struct Attempts<'a> {
    stop: &'a CancellationToken,
    end: Instant,
    pause: Duration,
}

impl<'a> Attempts<'a> {
    /// Attempts for this time, until `stop` is cancelled.
    pub(super) fn new(stop: &'a CancellationToken, time: Duration) -> Self {
        Self {
            stop,
            end: Instant::now() + time,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    /// The error of the last attempt, if another one cannot succeed, the time is over, or the task is ended.
    pub(super) async fn wait(&mut self, error: StepError) -> Result<(), StepError> {
        if !error.is_transient() || Instant::now() + self.pause > self.end {
            return Err(error);
        }
        tracing::warn!(%error, "trying again in {} s", self.pause.as_secs());
        tokio::select! {
            () = self.stop.cancelled() => return Err(error),
            () = sleep(self.pause) => {}
        }
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_passing_failures_are_repeated_and_not_for_ever() {
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let mut attempts = Attempts::new(&stop, Duration::from_mins(10));
        assert!(attempts.wait(StepError::final_one("x")).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let mut repeated = 0;
        while attempts.wait(StepError::transient("x")).await.is_ok() {
            repeated += 1;
        }
        // 2, 4, 8, 16 and 32 seconds, and then every minute.
        assert_eq!((repeated, begun.elapsed().as_secs()), (13, 62 + 8 * 60));

        let mut attempts = Attempts::new(&stop, Duration::from_mins(10));
        stop.cancel();
        assert!(attempts.wait(StepError::transient("x")).await.is_err());
    }
}
