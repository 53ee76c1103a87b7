//! A setting that cannot work.

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigurationError {
    setting: String,
    reason: String,
}

impl ConfigurationError {
    /// The setting called `setting` is wrong; `reason` says why, and what to do.
    #[must_use]
    pub fn invalid(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            reason: reason.into(),
        }
    }

    /// The setting or environment variable that is at fault.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// What is wrong with it, and what to do.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
