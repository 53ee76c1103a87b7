//! Stopping: the signals that ask for it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status after a second signal: not a success, because answers were cut off.
const SECOND_SIGNAL: i32 = 1;

/// The signals that ask a process to stop. They are caught from the moment this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that closes; the configuration is not read again.
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The first signal asks to stop. The second one ends the process at once.
    pub(crate) async fn stop(mut self, stop: CancellationToken) {
        let signal = self.next().await;
        tracing::info!(signal, "told to stop");
        stop.cancel();
        let signal = self.next().await;
        tracing::warn!(signal, "told to stop again; stopping at once");
        #[expect(
            clippy::disallowed_methods,
            reason = "the person who sends a second signal does not want to wait for destructors"
        )]
        std::process::exit(SECOND_SIGNAL);
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
