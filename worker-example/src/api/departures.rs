//! Tells Temporal of clients that have left, after an outage, too.
//!
//! A departure holds no place of a request: an outage of Temporal must not lock callers out. So that an outage does not fill the
//! memory, at most 10,000 departures wait in the queue. More are dropped, and their tasks go on until they end.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::sleep,
};

use crate::{
    client::{Task, Undelivered},
    task::{Follower, TaskId},
};

/// Departures that are told at the same time. More wait in a queue.
const MOST: usize = 1000;
/// Departures in the queue.
const MOST_WAITING: usize = 10_000;
/// Attempts to tell one while Temporal is unreachable.
const ATTEMPTS: u32 = 60;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// The departures of which Temporal does not know yet.
pub(super) struct Departures {
    places: Arc<Semaphore>,
    /// Each departure has a receiver until it is over.
    open: watch::Sender<()>,
}

impl Departures {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            open: watch::Sender::new(()),
        }
    }

    /// Tells the workflow that a client has left, in the background.
    pub(super) fn tell(&self, task: Task, follower: Follower) {
        tracing::info!(task = %task.id(), "a client has left; the task is cancelled unless another one follows it");
        self.spawn(task.id().clone(), move || {
            let (task, follower) = (task.clone(), follower.clone());
            async move { task.leave(follower).await }
        });
    }

    /// Waits until Temporal knows of all departures, or does not answer for too long.
    pub(super) async fn until_told(&self) {
        self.open.closed().await;
    }

    fn spawn<F>(&self, task: TaskId, attempt: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Undelivered>> + Send,
    {
        // A runtime that ends drops clients, too.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.open.receiver_count() >= MOST + MOST_WAITING {
            tracing::warn!(%task, "too many clients have left of which Temporal does not know; this one is forgotten, and its task goes on");
            return;
        }
        let (places, open) = (Arc::clone(&self.places), self.open.subscribe());
        runtime.spawn(async move {
            let _place = places.acquire().await;
            until_delivered(&task, attempt).await;
            drop(open);
        });
    }
}

async fn until_delivered<F>(task: &TaskId, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), Undelivered>>,
{
    for _ in 0..ATTEMPTS {
        let Err(undelivered) = attempt().await else {
            return;
        };
        tracing::warn!(%task, error = %undelivered.error, "cannot tell Temporal that a client has left");
        if !undelivered.is_transient {
            return;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;
    use crate::client::ClientError;

    /// A Temporal that fails at first, and how often it was called.
    #[derive(Default)]
    struct Temporal {
        is_reachable: AtomicBool,
        is_refusing: bool,
        calls: AtomicUsize,
    }

    impl Temporal {
        fn called(&self) -> usize {
            self.calls.load(Ordering::Relaxed)
        }
    }

    fn leave(departures: &Departures, temporal: &Arc<Temporal>) {
        let temporal = Arc::clone(temporal);
        departures.spawn("t".parse().unwrap(), move || {
            temporal.calls.fetch_add(1, Ordering::Relaxed);
            let is_reachable = temporal.is_reachable.load(Ordering::Relaxed);
            let undelivered = Undelivered {
                error: Box::new(ClientError::NoWorker("queue".to_owned())),
                is_transient: !temporal.is_refusing,
            };
            async move { is_reachable.then_some(()).ok_or(undelivered) }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn departures_beyond_the_limit_wait_and_are_told_after_an_outage() {
        let (departures, temporal) = (Departures::new(), Arc::new(Temporal::default()));
        for _ in 0..=MOST {
            leave(&departures, &temporal);
        }
        assert!(timeout(PAUSE / 2, departures.until_told()).await.is_err());
        assert_eq!(temporal.called(), MOST);
        temporal.is_reachable.store(true, Ordering::Relaxed);
        departures.until_told().await;
        assert_eq!(temporal.called(), MOST + MOST + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn departures_beyond_the_queue_are_dropped() {
        let (departures, temporal) = (Departures::new(), Arc::new(Temporal::default()));
        temporal.is_reachable.store(true, Ordering::Relaxed);
        for _ in 0..MOST + MOST_WAITING + 5 {
            leave(&departures, &temporal);
        }
        departures.until_told().await;
        assert_eq!(temporal.called(), MOST + MOST_WAITING);
        leave(&departures, &temporal);
        departures.until_told().await;
        assert_eq!(temporal.called(), MOST + MOST_WAITING + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_departure_is_given_up_at_last() {
        let (departures, temporal) = (Departures::new(), Arc::new(Temporal::default()));
        leave(&departures, &temporal);
        departures.until_told().await;
        assert_eq!(temporal.called(), ATTEMPTS as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_asked_for_again() {
        let departures = Departures::new();
        let temporal = Arc::new(Temporal {
            is_refusing: true,
            ..Temporal::default()
        });
        leave(&departures, &temporal);
        departures.until_told().await;
        assert_eq!(temporal.called(), 1);
    }
}
