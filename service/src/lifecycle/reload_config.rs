//! `[reload]`: when a running server reads its configuration again.

use std::time::Duration;

use crate::settings::{Section, values};

/// When a running server reads its configuration again, beside SIGHUP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// `watch_interval`: how often the server looks whether the configuration, or a file that it names, has changed. With
    /// zero it does not. Default: 5 s.
    pub watch_interval: Duration,
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self {
            watch_interval: Duration::from_secs(5),
        }
    }
}

impl ReloadConfig {
    /// Reads the section.
    #[must_use]
    pub fn read(mut section: Section<'_>) -> Self {
        let mut reload = Self::default();
        let interval = &mut reload.watch_interval;
        section.set("watch_interval", interval, values::duration);
        section.finish();
        reload
    }
}
