//! Runs each call of a vendor's library on its own thread.
//!
//! A call of a library cannot be cancelled, and a call that hangs never returns. A runtime that shuts down waits for
//! Tokio's threads for blocking calls, so one hung call would keep the process alive. It does not wait for these
//! threads.

use std::thread;

use tokio::sync::oneshot;

use super::error::Failure;
use temporal_kms::ProviderErrorKind as Kind;

/// Makes a call on a new thread. The caller limits the number of threads: `permit` is held until the call returns, even
/// if its caller no longer waits.
pub(super) async fn run<T: Send + 'static>(
    permit: impl Send + 'static,
    call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (answer, answered) = oneshot::channel();
    let span = tracing::Span::current();
    thread::Builder::new()
        .name("pkcs11".to_owned())
        .spawn(move || {
            let result = span.in_scope(call);
            drop(permit);
            // The caller may no longer wait for the answer.
            let _ = answer.send(result);
        })
        .map_err(|_| Failure::new(Kind::Unavailable, "the system gives no thread for the call"))?;
    let ended = || Failure::new(Kind::Unavailable, "the call ended without an answer");
    answered.await.map_err(|_| ended())?
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    use tokio::{runtime::Runtime, sync::Semaphore, time::timeout};

    use super::*;

    #[test]
    fn a_call_that_hangs_does_not_hold_up_the_end_of_the_runtime() {
        let (release, hang) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let program = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            let call = run((), move || {
                let _ = hang.recv();
                Ok(())
            });
            runtime.block_on(async { timeout(Duration::from_millis(10), call).await.unwrap_err() });
            drop(runtime);
            ended.send(()).unwrap();
        });
        // With a blocking thread of the runtime, this would wait until the call is released.
        end.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(release);
        program.join().unwrap();
    }

    #[tokio::test]
    async fn hung_calls_keep_their_permits() {
        let permits = Arc::new(Semaphore::new(2));
        let (release, hang) = mpsc::channel::<()>();
        let hang = Arc::new(parking_lot::Mutex::new(hang));
        for _ in 0..2 {
            let permit = permits.clone().acquire_owned().await.unwrap();
            let hang = hang.clone();
            let call = run(permit, move || {
                let _ = hang.lock().recv();
                Ok(())
            });
            timeout(Duration::from_millis(10), call).await.unwrap_err();
        }
        assert_eq!(permits.available_permits(), 0);
        drop(release);
        drop(permits.acquire_many(2).await.unwrap());
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_error() {
        let answer: Result<(), _> = run((), || panic!("in a test")).await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Unavailable);
    }
}
