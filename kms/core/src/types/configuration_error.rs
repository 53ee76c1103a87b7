//! A setting that cannot work.

use std::path::Path;

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigurationError {
    setting: String,
    reason: String,
}

impl ConfigurationError {
    /// An error about the setting called `setting`. `reason` says what is wrong, and what to do.
    #[must_use]
    pub fn invalid(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            reason: reason.into(),
        }
    }

    /// An error if the file that the setting `setting` names does not exist. `None` if it exists.
    #[must_use]
    pub fn missing_file(setting: &str, path: &Path) -> Option<Self> {
        let reason = || {
            format!(
                "there is no file {}; correct the path, or create it",
                path.display()
            )
        };
        (!path.is_file()).then(|| Self::invalid(setting, reason()))
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
