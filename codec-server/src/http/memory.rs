//! The memory that all requests share: bodies, payloads and answers are counted against one limit.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::request_error::RequestError;

/// Bytes of each request that are not counted, so that small requests of people pass while large ones wait. The limit of open
/// requests bounds the sum.
const FREE: usize = 64 << 10;
/// Memory is counted in units of this many bytes.
const UNIT: usize = 4 << 10;
/// How long a request waits for memory in each of its three steps: for its body, to read it, and for its answer. So it waits
/// for three seconds at most. A longer wait would let requests that each hold part of their memory block each other.
const PATIENCE: Duration = Duration::from_secs(1);

/// The memory of all requests together. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units)))
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share {
        Share {
            memory: Arc::clone(&self.0),
            held: None,
            bytes: 0,
            patience: PATIENCE,
        }
    }
}

/// The memory of one request. Dropping it releases everything.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
    /// How long it may still wait in this step.
    patience: Duration,
}

impl Share {
    /// What is counted.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins the next step of the request, which may wait as long as each other one.
    pub(super) fn renew_patience(&mut self) {
        self.patience = PATIENCE;
    }

    /// Counts `bytes` more. It may wait for other requests.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), RequestError> {
        if self.try_grow(bytes).is_ok() {
            return Ok(());
        }
        let missing = self.missing(bytes)?;
        let more = Arc::clone(&self.memory).acquire_many_owned(missing);
        let begun = Instant::now();
        let waited = timeout(self.patience, more).await;
        self.patience = self.patience.saturating_sub(begun.elapsed());
        match waited {
            Ok(Ok(permit)) => {
                self.take(bytes, Some(permit));
                Ok(())
            }
            _ => Err(RequestError::Busy),
        }
    }

    /// Counts `bytes` more if that is possible at once: for memory that is in use already.
    pub(super) fn try_grow(&mut self, bytes: usize) -> Result<(), RequestError> {
        let missing = self.missing(bytes)?;
        let permit = if missing == 0 {
            None
        } else {
            let more = Arc::clone(&self.memory).try_acquire_many_owned(missing);
            Some(more.map_err(|_| RequestError::Busy)?)
        };
        self.take(bytes, permit);
        Ok(())
    }

    /// Releases `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let keep = units(self.bytes);
        if let Some(held) = &mut self.held {
            let surplus = held.num_permits().saturating_sub(keep);
            drop(held.split(surplus));
        }
    }

    /// Releases all but `bytes`.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.shrink(self.bytes.saturating_sub(bytes));
    }

    fn missing(&self, bytes: usize) -> Result<u32, RequestError> {
        let wanted = units(self.bytes.saturating_add(bytes));
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        u32::try_from(wanted.saturating_sub(held)).map_err(|_| RequestError::Busy)
    }

    fn take(&mut self, bytes: usize, permit: Option<OwnedSemaphorePermit>) {
        self.bytes = self.bytes.saturating_add(bytes);
        match (&mut self.held, permit) {
            (Some(held), Some(permit)) => held.merge(permit),
            (held @ None, permit) => *held = permit,
            (Some(_), None) => {}
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.saturating_sub(FREE).div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_requests_wait_for_each_other_and_small_ones_do_not() {
        let memory = Memory::new(1 << 20);
        let mut large = memory.share();
        large.grow((1 << 20) + FREE).await.unwrap();

        memory.share().grow(FREE).await.unwrap();
        let mut second = memory.share();
        assert!(matches!(
            second.grow(FREE + 1).await,
            Err(RequestError::Busy)
        ));
        assert!(matches!(second.try_grow(FREE + 1), Err(RequestError::Busy)));

        large.shrink(UNIT);
        second.grow(FREE + 1).await.unwrap();
        drop(large);
        second.grow(512 << 10).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_a_request_waits_for_memory_for_one_second_in_all() {
        let memory = Memory::new(1 << 20);
        let mut first = memory.share();
        first.grow(1 << 20).await.unwrap();
        let mut second = memory.share();
        let begun = Instant::now();
        let (waited, ()) = tokio::join!(second.grow(512 << 10), async {
            sleep(Duration::from_millis(600)).await;
            first.shrink(512 << 10);
        });
        waited.unwrap();
        assert!(matches!(
            second.grow(512 << 10).await,
            Err(RequestError::Busy)
        ));
        assert_eq!(begun.elapsed().as_millis(), PATIENCE.as_millis());

        second.renew_patience();
        let (waited, ()) = tokio::join!(second.grow(512 << 10), async {
            sleep(PATIENCE * 9 / 10).await;
            drop(first);
        });
        waited.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn released_memory_goes_to_a_waiting_request() {
        let memory = Memory::new(1 << 20);
        let mut first = memory.share();
        first.grow((1 << 20) + FREE).await.unwrap();
        let mut second = memory.share();
        let (waited, ()) = tokio::join!(second.grow(1 << 20), async move { drop(first) });
        waited.unwrap();
    }

    #[test]
    fn everything_is_released() {
        let memory = Memory::new(1 << 20);
        let mut share = memory.share();
        for bytes in [1, 100, 64 << 10, 300 << 10, 7] {
            share.try_grow(bytes).unwrap();
        }
        share.shrink(200 << 10);
        share.try_grow(5).unwrap();
        drop(share);
        assert_eq!(memory.0.available_permits(), (1 << 20) / UNIT);
    }
}
