//! The limits of the calls of a key.

use std::time::Duration;

use crate::ConfigurationError;

/// The longest time that a policy may hold: one day.
pub(super) const LONGEST: Duration = Duration::from_hours(24);

/// The policy for calls of a key management service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallPolicy {
    /// The time limit of one attempt. At most the total time. Default: 3 seconds.
    pub attempt_timeout: Duration,
    /// The time limit of a call with all its attempts. An attempt that would take longer ends there. Default: 10
    /// seconds.
    pub total_timeout: Duration,
    /// The number of attempts of one call. Only a transient failure is tried again. Default: 4.
    pub max_attempts: u32,
    /// The wait before the second attempt is random, up to this bound. The bound doubles before each further attempt.
    /// Default: 100 milliseconds.
    pub base_delay: Duration,
    /// The longest wait between attempts. Default: 2 seconds.
    pub max_delay: Duration,
    /// The number of concurrent calls of one key. Further calls wait. Default: 32.
    pub max_concurrent: usize,
    /// The number of calls in a row that fail transiently, with all their attempts, before the circuit breaker opens:
    /// calls then fail without reaching the service. Default: 5.
    pub breaker_failures: u32,
    /// How long the circuit breaker stays open before one call passes as a probe. Default: 10 seconds.
    pub breaker_pause: Duration,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            max_attempts: 4,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(2),
            max_concurrent: 32,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

impl CallPolicy {
    /// One attempt and no circuit breaker, for diagnosis: each call shows how the service answers.
    #[must_use]
    pub fn once() -> Self {
        Self {
            max_attempts: 1,
            breaker_failures: u32::MAX,
            ..Self::default()
        }
    }

    /// Sets the time limit of one attempt.
    #[must_use]
    pub fn with_attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }

    /// Sets the time limit of a call with all its attempts.
    #[must_use]
    pub fn with_total_timeout(mut self, total_timeout: Duration) -> Self {
        self.total_timeout = total_timeout;
        self
    }

    /// Sets the number of attempts of one call.
    #[must_use]
    pub fn with_max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// Sets the longest wait before the second attempt.
    #[must_use]
    pub fn with_base_delay(mut self, base_delay: Duration) -> Self {
        self.base_delay = base_delay;
        self
    }

    /// Sets the longest wait between attempts.
    #[must_use]
    pub fn with_max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    /// Sets the number of concurrent calls of one key.
    #[must_use]
    pub fn with_max_concurrent(mut self, max_concurrent: usize) -> Self {
        self.max_concurrent = max_concurrent;
        self
    }

    /// Sets how many calls fail in a row before the circuit breaker opens.
    #[must_use]
    pub fn with_breaker_failures(mut self, breaker_failures: u32) -> Self {
        self.breaker_failures = breaker_failures;
        self
    }

    /// Sets how long the circuit breaker stays open.
    #[must_use]
    pub fn with_breaker_pause(mut self, breaker_pause: Duration) -> Self {
        self.breaker_pause = breaker_pause;
        self
    }

    /// Checks that these limits fit together.
    ///
    /// # Errors
    /// When a time or a number is zero, a time is longer than a day, or an attempt may take longer than the whole call.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("KMS calls", reason));
        let times = [self.attempt_timeout, self.total_timeout, self.breaker_pause];
        let is_zero = times.iter().any(Duration::is_zero)
            || [self.max_attempts, self.breaker_failures].contains(&0)
            || self.max_concurrent == 0;
        if is_zero {
            return invalid(
                "times, attempts, concurrent calls and failures must be more than zero",
            );
        }
        let delays = [self.base_delay, self.max_delay];
        if times.iter().chain(&delays).any(|time| *time > LONGEST) {
            return invalid("each time must be at most a day");
        }
        if self.attempt_timeout > self.total_timeout {
            return invalid("one attempt must not take longer than the whole call");
        }
        Ok(())
    }
}
