//! How many requests are worked on at the same time.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::request_error::RequestError;

/// How long a request waits for others to finish. A page of history is a burst of hundreds of requests.
const QUEUE_TIME: Duration = Duration::from_secs(1);

/// The places of the requests that are worked on.
pub(super) struct Permits(Semaphore);

impl Permits {
    pub(super) fn new(max_requests: usize) -> Self {
        Self(Semaphore::new(max_requests))
    }

    /// A place, which the request holds until it drops it.
    pub(super) async fn acquire(&self) -> Result<SemaphorePermit<'_>, RequestError> {
        match timeout(QUEUE_TIME, self.0.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(RequestError::Busy),
        }
    }
}
