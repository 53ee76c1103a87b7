//! Stopping: the signals that ask for it, and telling everybody.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The exit status after a second signal: not a success, as answers were cut off.
const SECOND_SIGNAL: i32 = 1;

/// A handle to wait for the request to stop.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The other end: asks to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Both ends.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everybody who waits to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when stopping is asked for, or nobody is left who could ask.
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

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

    /// The first signal asks to stop, the second one does not wait for it.
    pub(crate) async fn stop(mut self, stopper: Stopper) {
        let signal = self.next().await;
        tracing::info!(signal, "told to stop");
        stopper.request();
        let signal = self.next().await;
        tracing::warn!(signal, "told to stop again; stopping at once");
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
