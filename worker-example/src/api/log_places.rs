//! The places of chunks of logs in memory.
//!
//! A chunk has up to 8 MiB of events. Answers of logs and streams of events hold one each while their client reads it. Both have
//! places of their own, so that neither waits for the other.

use std::{hash::Hash, sync::Arc};

use temporal_kms_codec_service::{
    auth::CallerId,
    shares::{Exceeded, ShareLimits, Shares},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Duration,
};

/// The chunks of one kind that are in memory at the same time.
const MOST: usize = 8;
/// Those of one caller. Where the server authenticates nobody, everybody is one caller and has all of them.
const MOST_OF_CALLER: usize = MOST / 4;
/// How long a client may take for one chunk, whose memory others wait for.
pub(super) const CHUNK_TIME: Duration = Duration::from_mins(5);

/// The places of all callers, for one kind of answer.
pub(super) struct LogPlaces<C: Hash + Eq = CallerId> {
    all: Arc<Semaphore>,
    callers: Shares<C>,
}

/// The place of one chunk. It is free again when this is dropped.
pub(super) struct LogPlace {
    _permits: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// Which places are all taken.
#[derive(Debug)]
pub(super) enum NoPlace {
    /// Those of the caller.
    OfCaller(Exceeded),
    /// Those of all callers.
    AtAll,
}

impl<C: Hash + Eq + Clone> LogPlaces<C> {
    pub(super) fn new() -> Self {
        let limits = ShareLimits {
            concurrent: Some(MOST_OF_CALLER),
            ..ShareLimits::default()
        };
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            callers: Shares::new(&limits),
        }
    }

    /// Takes a place. It may wait a moment for others of the same caller.
    ///
    /// # Errors
    /// When all places, or all of this caller's places, are taken.
    pub(super) async fn take(&self, caller: Option<&C>) -> Result<LogPlace, NoPlace> {
        let share = match caller {
            Some(caller) => {
                let admitted = self.callers.admit(caller).await;
                admitted.map_err(NoPlace::OfCaller)?
            }
            None => None,
        };
        let place = Arc::clone(&self.all).try_acquire_owned();
        let place = place.map_err(|_| NoPlace::AtAll)?;
        Ok(LogPlace {
            _permits: (place, share),
        })
    }

    /// Takes a place after those who asked before.
    pub(super) async fn wait(&self, caller: Option<&C>) -> Option<LogPlace> {
        let share = match caller {
            Some(caller) => self.callers.wait(caller).await,
            None => None,
        };
        // Nothing closes the semaphore.
        let place = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(LogPlace {
            _permits: (place, share),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, task::yield_now, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_caller_leaves_places_for_others() {
        let places = LogPlaces::new();
        let mut taken = Vec::new();
        for caller in ["ann", "bob", "cid", "dan"] {
            for _ in 0..MOST_OF_CALLER {
                taken.push(places.take(Some(&caller)).await.unwrap());
            }
        }
        let refused = |place: Result<LogPlace, NoPlace>| place.map(drop).unwrap_err();
        let exceeded = refused(places.take(Some(&"ann")).await);
        assert!(matches!(exceeded, NoPlace::OfCaller(_)), "{exceeded:?}");
        for caller in [Some(&"eve"), None] {
            let full = refused(places.take(caller).await);
            assert!(matches!(full, NoPlace::AtAll), "{full:?}");
        }
        // The first place was Ann's.
        drop(taken.remove(0));
        places.take(Some(&"ann")).await.unwrap();
        places.take(Some(&"eve")).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_get_places_in_their_order() {
        let places = Arc::new(LogPlaces::new());
        let mut taken = Vec::new();
        for _ in 0..MOST_OF_CALLER {
            taken.push(places.take(Some(&"ann")).await.unwrap());
        }
        let (sender, mut served) = mpsc::unbounded_channel();
        for number in 0..3 {
            let (places, sender) = (Arc::clone(&places), sender.clone());
            tokio::spawn(async move {
                let place = places.wait(Some(&"ann")).await;
                sender.send((number, place)).unwrap();
            });
            yield_now().await;
        }
        assert!(timeout(CHUNK_TIME, served.recv()).await.is_err());
        drop(taken);
        for number in 0..3 {
            let (next, place) = served.recv().await.unwrap();
            assert_eq!(next, number);
            drop(place.unwrap());
        }
    }

    #[tokio::test]
    async fn without_authentication_nobody_has_a_share() {
        let places = LogPlaces::<&str>::new();
        let mut taken = Vec::new();
        for _ in 0..MOST {
            taken.push(places.take(None).await.unwrap());
        }
        assert!(places.take(None).await.is_err());
    }
}
