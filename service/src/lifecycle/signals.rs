//! The signals that ask a process to stop.

use std::{fs, future, io};

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::SECOND_SIGNAL;

/// SIGTERM, SIGINT, and SIGHUP, which a terminal sends when it closes. They are caught from the moment this is made. A
/// process that ignores SIGHUP from its start, as `nohup` arranges, keeps ignoring it.
#[derive(Debug)]
pub struct StopSignals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: Option<unix::Signal>,
}

impl StopSignals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// When the system does not let the process catch them.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if ignores_hangup() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    /// As [`listen`](Self::listen), but SIGHUP does not ask this process to stop: see
    /// [`Triggers`](super::Triggers).
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub fn listen_but_to_hangup() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.interrupt.recv() => Signal::SIGINT,
            () = received(&mut self.hangup) => Signal::SIGHUP,
        }
    }

    /// Cancels `stop` at the first signal. The second signal ends the process at once.
    pub async fn cancel(mut self, stop: CancellationToken) {
        let signal = self.next().await.as_str();
        tracing::info!(signal, "told to stop");
        stop.cancel();
        let signal = self.next().await.as_str();
        tracing::warn!(signal, "told to stop again; stopping at once");
        // Not a success: answers are cut off.
        #[expect(
            clippy::disallowed_methods,
            reason = "the person who sends a second signal does not want to wait for destructors"
        )]
        std::process::exit(SECOND_SIGNAL.into());
    }
}

/// Returns at the signal, and never without one.
async fn received(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => future::pending().await,
    }
}

/// Whether this process ignores SIGHUP. Linux lists the ignored signals as a mask (proc(5), `SigIgn`).
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_hangup_in(&status)
}

fn is_hangup_in(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_seen() {
        assert!(is_hangup_in("Name:\tx\nSigIgn:\t0000000000001001\n"));
        for other in ["", "SigIgn:\t0000000000001000\n", "SigIgn:\tx\n"] {
            assert!(!is_hangup_in(other), "{other}");
        }
    }
}
