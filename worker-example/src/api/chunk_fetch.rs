//! Fetches the next chunk of a log for a stream.
//!
//! This is a task of its own. A stream runs only while its client reads, and must not keep a place from others until then.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use temporal_kms_codec_service::{audit::RequestLog, auth::CallerId, request_id::RequestId};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant, sleep},
};

use super::{held_chunk::HeldChunk, log_places::LogPlaces, logged::LoggedEvents};
use crate::store::StoreError;

/// What a chunk is fetched for.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) places: Arc<LogPlaces>,
    pub(super) caller: Option<CallerId>,
    pub(super) audit: RequestLog,
    pub(super) request: RequestId,
}

/// A chunk that is being fetched. This ends with the value.
pub(super) struct ChunkFetch(oneshot::Receiver<Fetched>);

/// What was fetched.
pub(super) struct Fetched {
    pub(super) log: LoggedEvents,
    /// `None` if the store does not have the next event now.
    pub(super) chunk: Result<Option<HeldChunk>, StoreError>,
    /// How long that took, without the time in which all places were taken.
    pub(super) took: Duration,
}

impl ChunkFetch {
    /// Fetches the events from `next` on, after a pause, when there is a place.
    pub(super) fn begin(reader: Reader, log: LoggedEvents, next: u64, pause: Duration) -> Self {
        let (mut sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            tokio::select! {
                fetched = fetch(reader, log, next, pause) => {
                    // A stream that has ended needs it no more.
                    let _ = sender.send(fetched);
                }
                () = sender.closed() => {}
            }
        });
        Self(receiver)
    }
}

impl Future for ChunkFetch {
    /// `None` if the task failed.
    type Output = Option<Fetched>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).ok())
    }
}

async fn fetch(reader: Reader, mut log: LoggedEvents, next: u64, pause: Duration) -> Fetched {
    sleep(pause).await;
    let place = reader.places.wait(reader.caller.as_ref()).await;
    let start = Instant::now();
    let read = reader.audit.within(reader.request, log.read(next)).await;
    let chunk = read.map(|events| {
        let events = Some(events).filter(|events| !events.is_empty());
        Some(HeldChunk::new(events?, place?))
    });
    Fetched {
        log,
        chunk,
        took: pause + start.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::time::timeout;

    use super::{
        super::log_places::{CHUNK_TIME, LogPlace},
        *,
    };
    use crate::store::{Vault, for_tests::vault};

    async fn log() -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path()).await;
        let file = "sessions/t/000-20261126-231502.jsonl";
        vault.put_session(file, b"{}").await.unwrap();
        (folder, vault)
    }

    fn begin(places: &Arc<LogPlaces>, vault: &Vault, next: u64) -> ChunkFetch {
        let reader = Reader {
            places: Arc::clone(places),
            caller: None,
            audit: RequestLog::new(None),
            request: RequestId::next(),
        };
        let log = LoggedEvents::new(vault.clone(), "t".parse().unwrap(), DateTime::UNIX_EPOCH);
        ChunkFetch::begin(reader, log, next, Duration::ZERO)
    }

    async fn all(places: &LogPlaces) -> Vec<LogPlace> {
        let mut taken = Vec::new();
        while let Ok(place) = places.take(None).await {
            taken.push(place);
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_waits_for_a_place() {
        let (_folder, vault) = log().await;
        let places = Arc::new(LogPlaces::new());
        let taken = all(&places).await;
        let mut fetch = begin(&places, &vault, 0);
        assert!(timeout(CHUNK_TIME, &mut fetch).await.is_err());
        drop(taken);
        let fetched = fetch.await.unwrap();
        assert_eq!(
            fetched.chunk.unwrap().unwrap().next().as_deref(),
            Some("{}")
        );
        // The time without a place does not count.
        assert!(fetched.took < CHUNK_TIME);
    }

    /// The client of the first stream reads nothing, and that of the second one has left.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_does_not_run_keeps_no_place() {
        let (_folder, vault) = log().await;
        let places = Arc::new(LogPlaces::new());
        let taken = all(&places).await;
        let most = taken.len();
        let stalled = begin(&places, &vault, 0);
        drop(begin(&places, &vault, 0));
        drop(taken);
        sleep(CHUNK_TIME * 2).await;
        assert_eq!(all(&places).await.len(), most);
        let mut chunk = stalled.await.unwrap().chunk.unwrap().unwrap();
        assert_eq!((chunk.next(), chunk.is_left()), (None, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_is_not_stored_yet_needs_no_place() {
        let (_folder, vault) = log().await;
        let places = Arc::new(LogPlaces::new());
        let most = all(&places).await.len();
        let fetched = begin(&places, &vault, 1).await.unwrap();
        assert!(fetched.chunk.unwrap().is_none());
        assert_eq!(all(&places).await.len(), most);
    }
}
