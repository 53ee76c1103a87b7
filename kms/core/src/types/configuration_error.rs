//! A setting that cannot work.

use std::path::Path;

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigurationError {
    setting: String,
    reason: String,
    /// Where what is wrong ends in the reason.
    end: usize,
}

impl ConfigurationError {
    /// An error about the setting called `setting`. `reason` says what is wrong, and what to do.
    #[must_use]
    pub fn invalid(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            setting: setting.into(),
            end: reason.len(),
            reason,
        }
    }

    /// Adds what to do, for a reason that says only what is wrong. It replaces what was added before.
    #[must_use]
    pub fn with_remedy(mut self, remedy: &str) -> Self {
        self.reason.truncate(self.end);
        self.reason.push_str("; ");
        self.reason.push_str(remedy);
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_remedy_replaces_the_one_before() {
        let error =
            ConfigurationError::invalid("keys.a", "no key; at all").with_remedy("create it");
        assert_eq!(error.reason(), "no key; at all; create it");
        let error = error.with_remedy("correct the name");
        assert_eq!(
            error.to_string(),
            "keys.a: no key; at all; correct the name"
        );
    }
}
