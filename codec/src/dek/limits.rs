//! How long data keys live, and how many are kept.

use std::time::Duration;

use crate::ConfigurationError;

/// The longest time that a limit of data keys may be. A longer one is a typing error.
const LONGEST: Duration = Duration::from_hours(366 * 24);
/// How long one data key seals before a new one takes its place.
///
/// The counts are checked once for each call of [`Codec::encode`](crate::Codec::encode), so the last call may go over
/// them by its own size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DekLimits {
    /// Age at which a key is replaced. Default: 1 hour.
    pub max_age: Duration,
    /// How long before `max_age` a new key is made in the background. Each data key varies it by up to a tenth, so that
    /// processes that start together do not renew together. Default: 15 minutes.
    pub renew_before: Duration,
    /// Age up to which a key goes on sealing while the KMS cannot be reached. At most 366 days. Default: 24 hours.
    pub hard_max_age: Duration,
    /// Payloads under one key. Default: 2²⁴, which also keeps the random nonces of envelope version 1 far from the
    /// 2³² of NIST SP 800-38D, section 8.3.
    pub max_messages: u64,
    /// Bytes of plaintext under one key. Default: 64 GiB.
    pub max_bytes: u64,
}

impl Default for DekLimits {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(1),
            renew_before: Duration::from_mins(15),
            hard_max_age: Duration::from_hours(24),
            max_messages: 1 << 24,
            max_bytes: 64 << 30,
        }
    }
}

impl DekLimits {
    /// Envelope version 1 draws 96-bit nonces at random: NIST SP 800-38D allows 2³² of them under one key.
    const MOST_MESSAGES: u64 = 1 << 32;

    /// Sets the age at which a key is replaced.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how long before `max_age` a new key is made in the background.
    #[must_use]
    pub fn with_renew_before(mut self, renew_before: Duration) -> Self {
        self.renew_before = renew_before;
        self
    }

    /// Sets the age up to which a key goes on sealing while the KMS cannot be reached.
    #[must_use]
    pub fn with_hard_max_age(mut self, hard_max_age: Duration) -> Self {
        self.hard_max_age = hard_max_age;
        self
    }

    /// Sets how many payloads one key seals.
    #[must_use]
    pub fn with_max_messages(mut self, max_messages: u64) -> Self {
        self.max_messages = max_messages;
        self
    }

    /// Sets how many bytes of plaintext one key seals.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("data key limits", reason));
        if self.max_age.is_zero() || self.max_messages == 0 || self.max_bytes == 0 {
            return invalid("max_age, max_messages and max_bytes must be more than zero");
        }
        if self.renew_before >= self.max_age {
            return invalid("renew_before must be shorter than max_age");
        }
        if self.hard_max_age < self.max_age {
            return invalid("hard_max_age must be at least max_age");
        }
        if self.hard_max_age > LONGEST {
            return invalid("no time may be longer than 366 days; choose a shorter one");
        }
        if self.max_messages > Self::MOST_MESSAGES {
            return invalid("max_messages must be at most 2^32");
        }
        Ok(())
    }
}

/// How many unwrapped data keys are kept for decoding, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Keys kept; the least recently used one makes room. A key takes about 600 bytes. Every process that encrypts makes
    /// a data key an hour, so a number below that of the writers in `ttl` costs a call of the KMS for many payloads.
    /// At most 10 million. Default: 10,000.
    pub max_keys: usize,
    /// How long a key may be used after it was unwrapped. Then the KMS is asked again, so that a revoked permission
    /// takes effect. At most 366 days. Default: 1 hour.
    pub ttl: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            max_keys: 10_000,
            ttl: Duration::from_hours(1),
        }
    }
}

impl CacheLimits {
    /// The highest `max_keys`. More data keys take gigabytes.
    pub const MOST_KEYS: usize = 10_000_000;

    /// Sets how many keys are kept.
    #[must_use]
    pub fn with_max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Sets how long a key may be used after it was unwrapped.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("data key cache", reason));
        if self.max_keys == 0 || self.ttl.is_zero() {
            return invalid("the number of data keys and their time must be more than zero");
        }
        if self.max_keys > Self::MOST_KEYS || self.ttl > LONGEST {
            return invalid(
                "at most 10 million data keys can be kept, for at most 366 days; choose lower values",
            );
        }
        Ok(())
    }
}
