//! The signals that ask a process to stop.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::SECOND_SIGNAL;

/// SIGTERM, SIGINT, and SIGHUP, which a terminal sends when it closes. They are caught from the moment this is made.
#[derive(Debug)]
pub struct StopSignals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
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
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.hangup.recv() => Signal::SIGHUP,
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
