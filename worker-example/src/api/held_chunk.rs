//! Parts of a log in memory while a client reads them. A client that stops reading loses them.

use std::{
    sync::{Arc, Weak},
    vec,
};

use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::sleep};

use super::log_places::{CHUNK_TIME, LogPlace};

/// A value that is dropped after [`CHUNK_TIME`], even while nobody asks for it: HTTP/2 asks for nothing until the client reads.
pub(super) struct Held<T> {
    value: Arc<Mutex<Option<T>>>,
    timer: AbortHandle,
}

impl<T: Send + 'static> Held<T> {
    pub(super) fn new(value: T) -> Self {
        let value = Arc::new(Mutex::new(Some(value)));
        let timer = tokio::spawn(drop_late(Arc::downgrade(&value))).abort_handle();
        Self { value, timer }
    }

    /// Works with the value. `None` when the client has had its time.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.value.lock().as_mut().map(work)
    }

    /// Takes the value out. `None` when the client has had its time.
    pub(super) fn into_inner(self) -> Option<T> {
        self.value.lock().take()
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

async fn drop_late<T>(value: Weak<Mutex<Option<T>>>) {
    sleep(CHUNK_TIME).await;
    if let Some(value) = value.upgrade() {
        drop(value.lock().take());
    }
}

/// The events of a chunk that its client has not read yet, and their place in memory.
pub(super) struct HeldChunk {
    held: Held<(vec::IntoIter<String>, LogPlace)>,
    left: usize,
}

impl HeldChunk {
    pub(super) fn new(events: Vec<String>, place: LogPlace) -> Self {
        Self {
            left: events.len(),
            held: Held::new((events.into_iter(), place)),
        }
    }

    /// Whether there are events that the client has not read.
    pub(super) fn is_left(&self) -> bool {
        self.left > 0
    }

    /// The next event. `None` after the last one, and when the client has had its time.
    pub(super) fn next(&mut self) -> Option<String> {
        let next = self.held.with(|(events, _)| events.next()).flatten()?;
        self.left -= 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::{
        super::log_places::{LogPlaces, NoPlace},
        *,
    };

    fn events() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_loses_its_chunk() {
        let places = LogPlaces::<&str>::new();
        let place = async || places.take(None).await.unwrap();
        let mut quick = HeldChunk::new(events(), place().await);
        assert_eq!(quick.next().as_deref(), Some("a"));
        assert_eq!(quick.next().as_deref(), Some("b"));
        assert_eq!((quick.next(), quick.is_left()), (None, false));

        let mut slow = HeldChunk::new(events(), place().await);
        assert_eq!(slow.next().as_deref(), Some("a"));
        sleep(CHUNK_TIME + Duration::from_secs(1)).await;
        assert_eq!((slow.next(), slow.is_left()), (None, true));
    }

    /// No event is read after the chunks are made.
    #[tokio::test(start_paused = true)]
    async fn clients_that_stop_reading_give_their_places_back() {
        let places = LogPlaces::<&str>::new();
        let mut stalled = Vec::new();
        let full = loop {
            match places.take(None).await {
                Ok(place) => stalled.push(HeldChunk::new(events(), place)),
                Err(full) => break full,
            }
        };
        assert!(matches!(full, NoPlace::AtAll), "{full:?}");
        sleep(CHUNK_TIME / 2).await;
        assert!(places.take(None).await.is_err());
        sleep(CHUNK_TIME).await;
        let mut taken = Vec::new();
        for _ in &stalled {
            taken.push(places.take(None).await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_was_taken_out_is_kept() {
        let kept = Held::new("text").into_inner();
        sleep(CHUNK_TIME * 2).await;
        assert_eq!(kept, Some("text"));
        let late = Held::new("text");
        sleep(CHUNK_TIME * 2).await;
        assert_eq!(
            (late.with(|text| text.len()), late.into_inner()),
            (None, None)
        );
    }
}
