//! How many large payloads are compressed or decompressed at the same time.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many large payloads are compressed, and how many are decompressed, at the same time. Codecs that have a clone of it share
/// the turns.
///
/// A large payload lets other tasks run while it is compressed or decompressed, and keeps its memory meanwhile: up to
/// [`max_decompressed`](crate::CodecBuilder::max_decompressed) bytes, and some megabytes of the algorithm. A server takes as many
/// turns as it has threads, so that its memory does not grow with its requests.
///
/// What a layer became by decompression may be encrypted once more. If that is more than 64 KiB, it keeps its turn while it waits for
/// a key service. So a slow key service can hold up other large payloads, until the calls that wait for it are given up.
///
/// A call that has a turn must go on: a task that waits for a second call while it leaves a first one half done may wait for a
/// turn that the first one has.
#[derive(Clone, Debug)]
pub struct CompressionTurns(Arc<Semaphores>);

#[derive(Debug)]
struct Semaphores {
    compressing: Semaphore,
    decompressing: Semaphore,
}

impl CompressionTurns {
    /// Turns for so many payloads of each kind.
    #[must_use]
    pub fn new(each: NonZeroUsize) -> Self {
        let turns = || Semaphore::new(each.get().min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Semaphores {
            compressing: turns(),
            decompressing: turns(),
        }))
    }

    /// Waits until a payload may be compressed.
    pub(super) async fn compressing(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.0.compressing.acquire().await.ok()
    }

    /// Waits until a payload may be decompressed.
    pub(super) async fn decompressing(&self) -> Option<SemaphorePermit<'_>> {
        self.0.decompressing.acquire().await.ok()
    }
}
