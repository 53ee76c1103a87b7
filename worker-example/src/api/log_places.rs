//! The places of chunks of logs in memory.
//!
//! A chunk has up to 8 MiB of events. Answers of logs and streams of events hold one each while their client reads it.

use std::{hash::Hash, sync::Arc};

use temporal_kms_codec_service::{
    auth::CallerId,
    shares::{Exceeded, ShareLimits, Shares},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Duration,
};

/// The chunks that are in memory at the same time.
const MOST: usize = 16;
/// Those of one caller. Where the server authenticates nobody, everybody is one caller and has all of them.
const MOST_OF_CALLER: usize = MOST / 4;
/// How long a client may take for one chunk, whose memory others wait for.
pub(super) const CHUNK_TIME: Duration = Duration::from_mins(5);

/// The places of all callers.
pub(super) struct LogPlaces<C: Hash + Eq = CallerId> {
    all: Arc<Semaphore>,
    callers: Shares<C>,
}

/// The place of one chunk. It is free again when this is dropped.
pub(super) struct LogPlace {
    _permits: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// Why there is no place.
#[derive(Debug)]
pub(super) enum NoPlace {
    /// The caller has its share.
    OfCaller(Exceeded),
    /// All places are taken.
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
    /// When there is none.
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
}

#[cfg(test)]
mod tests {
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
