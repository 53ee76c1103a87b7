//! How many requests are worked on at the same time.

use std::{pin::pin, task::Poll, time::Duration};

use futures::poll;
use tokio::{sync::Semaphore, time::timeout};

use super::request_error::RequestError;

/// How long a request waits for others to finish. A page of history is a burst of hundreds of requests.
const QUEUE_TIME: Duration = Duration::from_secs(1);
/// After this, a request most likely waits for a key service, and gives its place to others. Otherwise an outage of one key
/// would hold up requests whose data keys are in memory. The limits of memory and of open requests still hold.
const PLACE_TIME: Duration = Duration::from_millis(50);

/// The places of the requests that are worked on.
pub(super) struct Permits(Semaphore);

impl Permits {
    pub(super) fn new(max_requests: usize) -> Self {
        Self(Semaphore::new(max_requests))
    }

    /// Does `work` in a place of its own, at most for `limit`.
    pub(super) async fn run<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let place = match self.0.try_acquire() {
            Ok(place) => place,
            Err(_) => match timeout(QUEUE_TIME, self.0.acquire()).await {
                Ok(Ok(place)) => place,
                _ => return Err(RequestError::NoPlace),
            },
        };
        let mut work = pin!(work);
        // Most requests wait for nothing, and need no clock.
        if let Poll::Ready(done) = poll!(work.as_mut()) {
            return done;
        }
        let mut work = pin!(timeout(limit, work));
        let done = if let Ok(done) = timeout(PLACE_TIME, work.as_mut()).await {
            done
        } else {
            drop(place);
            work.await
        };
        done.unwrap_or(Err(RequestError::TooSlow))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_a_key_service_holds_up_no_other() {
        let permits = Permits::new(2);
        let stuck = || permits.run(LIMIT, pending::<Result<(), RequestError>>());
        let quick = async {
            for _ in 0..100 {
                permits.run(LIMIT, async { Ok(()) }).await.unwrap();
            }
        };
        let (one, two, ()) = tokio::join!(stuck(), stuck(), quick);
        for ended in [one, two] {
            assert!(matches!(ended, Err(RequestError::TooSlow)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn more_requests_than_places_wait_for_each_other() {
        let permits = Permits::new(1);
        let work = |time| async move {
            tokio::time::sleep(time).await;
            Ok(())
        };
        let short = PLACE_TIME / 2;
        let all = (0..30).map(|_| permits.run(LIMIT, work(short)));
        for done in futures::future::join_all(all).await {
            done.unwrap();
        }
    }
}
