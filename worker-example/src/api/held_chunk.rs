//! The events of a chunk of a log, while a client reads them.

use std::vec;

use tokio::time::Instant;

use super::log_places::{CHUNK_TIME, LogPlace};

/// The events of a chunk that its client has not read yet, and their place in memory.
pub(super) struct HeldChunk {
    events: vec::IntoIter<String>,
    deadline: Instant,
    _place: LogPlace,
}

impl HeldChunk {
    pub(super) fn new(events: Vec<String>, place: LogPlace) -> Self {
        Self {
            events: events.into_iter(),
            deadline: Instant::now() + CHUNK_TIME,
            _place: place,
        }
    }

    /// Whether there are events that the client has not read.
    pub(super) fn is_left(&self) -> bool {
        self.events.len() > 0
    }

    /// The next event. `None` after the last one, and when the client has had its time.
    pub(super) fn next(&mut self) -> Option<String> {
        if Instant::now() > self.deadline {
            return None;
        }
        self.events.next()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, advance};

    use super::{super::log_places::LogPlaces, *};

    async fn held(events: &[&str]) -> HeldChunk {
        let place = LogPlaces::<&str>::new().take(None).await.unwrap();
        HeldChunk::new(
            events.iter().map(|event| (*event).to_owned()).collect(),
            place,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_loses_its_chunk() {
        let mut quick = held(&["a", "b"]).await;
        assert_eq!(quick.next().as_deref(), Some("a"));
        assert_eq!(quick.next().as_deref(), Some("b"));
        assert_eq!((quick.next(), quick.is_left()), (None, false));

        let mut slow = held(&["a", "b"]).await;
        assert_eq!(slow.next().as_deref(), Some("a"));
        advance(CHUNK_TIME + Duration::from_secs(1)).await;
        assert_eq!((slow.next(), slow.is_left()), (None, true));
    }
}
