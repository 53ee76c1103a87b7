//! When a server reads its configuration again, and how that went.

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{self, SignalKind, signal},
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::watch::Watch;

/// Why a server does something about its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// SIGHUP: read it again.
    Hangup,
    /// A file has changed: read it again.
    Changed,
    /// SIGUSR1: drop the data keys in memory.
    Forget,
}

impl Trigger {
    /// What it is called in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Changed => "a file has changed",
            Self::Forget => "SIGUSR1",
        }
    }
}

/// The signals that a server reloads at. They are caught from the moment this is made.
#[derive(Debug)]
pub struct Triggers {
    hangup: unix::Signal,
    forget: unix::Signal,
}

impl Triggers {
    /// Catches SIGHUP and SIGUSR1 from now on. A process that was started with `nohup` catches SIGHUP, too: a terminal that
    /// closes then only has the configuration read again.
    ///
    /// # Errors
    /// When the system does not let the process catch them.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            forget: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next reason. Files are looked at every `pause`. With a pause of zero, they are not.
    pub async fn next(&mut self, files: &mut Watch, pause: Duration) -> Trigger {
        tokio::select! {
            _ = self.hangup.recv() => Trigger::Hangup,
            _ = self.forget.recv() => Trigger::Forget,
            () = changed(files, pause) => Trigger::Changed,
        }
    }
}

/// Returns when a file has changed.
async fn changed(files: &mut Watch, pause: Duration) {
    if pause.is_zero() {
        return std::future::pending().await;
    }
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if files.has_changed() {
            return;
        }
    }
}

/// What became of the configurations that a server has read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadStatus {
    /// How many configurations have been served, with the first one.
    pub generation: u64,
    /// When the one that is served was read.
    pub loaded: SystemTime,
    /// How many could not be used.
    pub failures: u64,
    /// Why the newest one cannot be used. `None` when it is the one that is served.
    pub last_error: Option<String>,
}

/// What became of the configurations, for all who show it.
#[derive(Debug)]
pub struct Reloads(watch::Sender<ReloadStatus>);

impl Default for Reloads {
    /// The first configuration is served.
    fn default() -> Self {
        Self(watch::Sender::new(ReloadStatus {
            generation: 1,
            loaded: SystemTime::now(),
            failures: 0,
            last_error: None,
        }))
    }
}

impl Reloads {
    /// What became of them so far.
    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        self.0.borrow().clone()
    }

    /// Tells each time that something has changed.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<ReloadStatus> {
        self.0.subscribe()
    }

    /// Another configuration is served from now on. Returns its number.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.0.send_modify(|status| {
            status.generation += 1;
            status.loaded = SystemTime::now();
            status.last_error = None;
        });
        self.0.borrow().generation
    }

    /// The newest configuration cannot be used, and the one before it is still served.
    pub fn failed(&self, error: &dyn fmt::Display) {
        self.0.send_modify(|status| {
            status.failures += 1;
            status.last_error = Some(error.to_string());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_shown_until_a_configuration_works() {
        let reloads = Reloads::default();
        let told = reloads.subscribe();
        reloads.failed(&"codec.toml:1: not TOML");
        let status = reloads.status();
        assert_eq!((status.generation, status.failures), (1, 1));
        assert_eq!(status.last_error.as_deref(), Some("codec.toml:1: not TOML"));
        assert!(told.has_changed().unwrap());
        assert_eq!(reloads.succeeded(), 2);
        let status = reloads.status();
        assert_eq!((status.failures, status.last_error), (1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codec.toml");
        std::fs::write(&file, "a").unwrap();
        let (mut files, mut triggers) = (Watch::default(), Triggers::listen().unwrap());
        files.add(&file);
        std::fs::write(&file, "bb").unwrap();
        let pause = Duration::from_secs(5);
        assert_eq!(triggers.next(&mut files, pause).await, Trigger::Changed);
    }
}
