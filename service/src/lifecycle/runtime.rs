//! Runs a command's work, ends it on a signal, and never waits for calls that hang.

use std::{future::Future, time::Duration};

use tokio::runtime::Runtime;

use super::signals::StopSignals;
use crate::{exit::Failure, log};

/// For blocking calls in flight when the work is done. A call that hangs, such as a read of a terminal or a call of a
/// module for hardware tokens, is abandoned.
const CALLS_GRACE: Duration = Duration::from_millis(500);

/// Runs `work` to its end.
///
/// # Errors
/// When the runtime cannot start, and what `work` returns.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // Also when `work` panics.
    let _written = log::FlushOnDrop;
    let runtime = Runtime::new()
        .map_err(|error| Failure::io("the asynchronous runtime does not start", &error))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(CALLS_GRACE);
    done
}

/// As [`run`], but SIGINT, SIGTERM and SIGHUP drop `work` and everything that it has opened. `consequence` tells the user
/// what that means, such as `no output was written`.
///
/// # Errors
/// As [`run`], and when a signal ended the work.
pub fn run_interruptible<T>(
    consequence: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    run(async {
        let mut signals = StopSignals::listen()
            .map_err(|error| Failure::io("signals cannot be received", &error))?;
        tokio::select! {
            done = work => done,
            signal = signals.next() => {
                let number = u8::try_from(signal as i32).unwrap_or_default();
                Err(Failure::signalled(
                    number,
                    format_args!("interrupted by {}; {consequence}", signal.as_str()),
                ))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocking_call_that_hangs_does_not_hold_up_the_end() {
        let done = run(async {
            let (started, has_started) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                let _ = started.send(());
                loop {
                    std::thread::park();
                }
            });
            has_started
                .await
                .map_err(|_| Failure::signalled(0, "it did not start"))
        });
        assert!(done.is_ok());
    }
}
