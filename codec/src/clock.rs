use std::time::Instant;

/// Where the age of data keys is read from. Tests move it by hand.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Instant;
}

/// The operating system's monotonic clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;

    /// A clock that stands still until it is told to move.
    pub(crate) struct ManualClock(Mutex<Instant>);

    impl ManualClock {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(Instant::now()))
        }

        pub(crate) fn advance(&self, by: Duration) {
            *self.0.lock() += by;
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Instant {
            *self.0.lock()
        }
    }
}
