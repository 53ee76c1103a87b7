//! Settings that a running server cannot change.

use std::fmt::Debug;

/// The settings that have changed and take effect after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeedsRestart(Vec<&'static str>);

impl NeedsRestart {
    /// Takes a setting from the configuration that is served, and notes its name, such as `server.listen`, where the new
    /// configuration has another value.
    pub fn keep<T: Clone + Debug>(&mut self, setting: &'static str, new: &mut T, served: &T) {
        if format!("{new:?}") != format!("{served:?}") {
            new.clone_from(served);
            self.0.push(setting);
        }
    }

    /// Their names.
    #[must_use]
    pub fn settings(&self) -> &[&'static str] {
        &self.0
    }
}
