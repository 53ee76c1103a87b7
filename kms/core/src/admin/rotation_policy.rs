//! When a key should be rotated.

use std::time::{Duration, SystemTime};

use super::{
    key_details::{KeyDetails, KeyVersion},
    key_spec::KeyPurpose,
};

/// When a key should be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// The age at which the primary version should be rotated. Default: 90 days.
    pub period: Duration,
    /// The age at which any version that decrypts causes a warning. Default: 365 days.
    pub max_age: Duration,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            period: Duration::from_hours(90 * 24),
            max_age: Duration::from_hours(365 * 24),
        }
    }
}

impl RotationPolicy {
    /// Sets the age at which the primary version should be rotated.
    #[must_use]
    pub fn with_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Sets the age at which any version that decrypts causes a warning.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Whether the version that encrypts is older than the period. Never for signing keys: old signatures stay valid,
    /// and every verifier would need the new public key. Never where the age is unknown.
    #[must_use]
    pub fn should_rotate(&self, key: &KeyDetails, now: SystemTime) -> bool {
        let made = key
            .primary
            .as_ref()
            .map_or(key.created, |version| version.created);
        key.purpose == KeyPurpose::Encrypt
            && made.is_some_and(|made| now.duration_since(made).unwrap_or_default() >= self.period)
    }

    /// Whether a version has reached the maximum age.
    #[must_use]
    pub fn is_overaged(&self, version: &KeyVersion, now: SystemTime) -> bool {
        version
            .created
            .is_some_and(|made| now.duration_since(made).unwrap_or_default() >= self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyState, Protection};

    fn key(purpose: KeyPurpose, created: Option<SystemTime>) -> KeyDetails {
        let uri = "local://k".parse().unwrap();
        KeyDetails::new(uri, purpose, Protection::Software).with_created(created)
    }

    #[test]
    fn only_an_encrypting_key_that_is_known_to_be_old_should_rotate() {
        let policy = RotationPolicy::default();
        let now = SystemTime::UNIX_EPOCH + policy.period * 2;
        let old = Some(now - policy.period);
        let young = Some(now - policy.period + Duration::from_secs(1));
        assert!(policy.should_rotate(&key(KeyPurpose::Encrypt, old), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::Encrypt, young), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::Encrypt, None), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::SignP256, old), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::SignEd25519, old), now));

        let mut rotated = key(KeyPurpose::Encrypt, old);
        rotated.primary = Some(KeyVersion {
            id: "2".to_owned(),
            state: KeyState::Enabled,
            created: None,
        });
        assert!(
            !policy.should_rotate(&rotated, now),
            "how old the version is, is unknown"
        );
    }
}
