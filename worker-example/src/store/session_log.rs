//! The log of a running task in a store: chunks of events, which a thread of its own uploads.
//!
//! A task never waits for the store. The events of a chunk are in memory until the chunk is stored. If the store takes nothing
//! for minutes, the log fails, and with it the task: a task without a log would be a task that nobody can check.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};
use zeroize::Zeroizing;

use super::{error::StoreError, sessions::folder, vault::Vault};
use crate::task::TaskId;

/// The size at which a chunk is closed, in bytes.
const CHUNK_BYTES: usize = 8 << 20;
/// The most bytes in memory that the store has not taken.
const MAX_PENDING: usize = 64 << 20;
/// How long the store may fail before the log fails.
const PATIENCE: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(2);
/// The heartbeats of a task carry no event above this size, in bytes.
const LARGE_EVENT: usize = 16 << 10;
/// The heartbeats of a task carry no more than this, in bytes.
const LARGE_CHUNK: usize = 256 << 10;
/// The longest time that a chunk collects events.
pub(crate) const LONGEST_CHUNK: Duration = Duration::from_secs(150);

/// The log of one run of a task in a store.
#[derive(Debug)]
pub(crate) struct StoreLog {
    folder: String,
    next: u32,
    chunk: Zeroizing<Vec<u8>>,
    chunk_since: Instant,
    /// Whether people who follow the task need the chunk, because the heartbeats do not carry all of it.
    is_needed: bool,
    pending: Arc<AtomicUsize>,
    chunks: Option<mpsc::UnboundedSender<Chunk>>,
    uploader: Option<JoinHandle<Result<(), StoreError>>>,
    is_used: bool,
}

struct Chunk {
    name: String,
    content: Zeroizing<Vec<u8>>,
}

impl StoreLog {
    /// Opens the log of a task. Chunks of an earlier run stay.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn open(vault: &Vault, task: &TaskId) -> Result<Self, StoreError> {
        let last = vault.chunks(task).await?.pop();
        let folder = folder(task);
        let number = last.as_deref().and_then(|name| {
            let file = name.strip_prefix(&folder)?.strip_prefix('/')?;
            file.split_once('-')?.0.parse::<u32>().ok()
        });
        let (sender, receiver) = mpsc::unbounded_channel();
        let pending = Arc::new(AtomicUsize::new(0));
        let uploader = tokio::spawn(upload(vault.clone(), receiver, Arc::clone(&pending)));
        Ok(Self {
            folder,
            next: number.map_or(0, |number| number.saturating_add(1)),
            chunk: Zeroizing::default(),
            chunk_since: Instant::now(),
            is_needed: false,
            pending,
            chunks: Some(sender),
            uploader: Some(uploader),
            is_used: number.is_some(),
        })
    }

    /// Whether the store had chunks of this task when the log was opened: a session has begun before, perhaps at another worker.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When the store takes no chunks.
    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        if self.chunk.is_empty() {
            self.chunk_since = Instant::now();
        }
        self.chunk.extend_from_slice(line.as_bytes());
        self.chunk.push(b'\n');
        self.is_needed |= line.len() > LARGE_EVENT || self.chunk.len() > LARGE_CHUNK;
        if self.chunk.len() >= CHUNK_BYTES {
            return self.send();
        }
        Ok(())
    }

    /// Closes the chunk if it is old enough.
    ///
    /// # Errors
    /// When the store takes no chunks.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty()
            && self.chunk_since.elapsed() >= chunk_time(self.next, self.is_needed)
        {
            return self.send();
        }
        Ok(())
    }

    /// Closes the last chunk, and waits until the store has all chunks.
    ///
    /// # Errors
    /// When the store takes no chunks.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.send()?;
        }
        self.chunks = None;
        match self.uploader.take() {
            Some(uploader) => uploader.await?.map_err(io::Error::other),
            None => Ok(()),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let time = DateTime::<Utc>::from(SystemTime::now()).format("%Y%m%d-%H%M%S");
        let content = std::mem::take(&mut self.chunk);
        self.is_needed = false;
        let size = content.len();
        let chunk = Chunk {
            name: format!("{}/{:03}-{time}.jsonl", self.folder, self.next),
            content,
        };
        self.next = self.next.saturating_add(1);
        let pending = self.pending.fetch_add(size, Ordering::Relaxed);
        let sent = self
            .chunks
            .as_ref()
            .is_some_and(|chunks| chunks.send(chunk).is_ok());
        if !sent || pending.saturating_add(size) > MAX_PENDING {
            return Err(io::Error::other(
                "the store does not take the chunks of the log. Check --store and the credentials of the store",
            ));
        }
        Ok(())
    }
}

/// How long a chunk collects events. The first chunks are short, so that people who follow a task see it soon. A task of 24 hours
/// has about 900 chunks, and some more if its events are large.
fn chunk_time(number: u32, is_needed: bool) -> Duration {
    match number {
        0..500 if is_needed => Duration::from_secs(1),
        500..2000 if is_needed => Duration::from_secs(10),
        0..60 => Duration::from_secs(5),
        60..160 => Duration::from_secs(30),
        160..400 => Duration::from_mins(1),
        _ => LONGEST_CHUNK,
    }
}

async fn upload(
    vault: Vault,
    mut chunks: mpsc::UnboundedReceiver<Chunk>,
    pending: Arc<AtomicUsize>,
) -> Result<(), StoreError> {
    while let Some(chunk) = chunks.recv().await {
        let begun = Instant::now();
        while let Err(error) = vault.put_session(&chunk.name, &chunk.content).await {
            if error.is_final() || begun.elapsed() > PATIENCE {
                return Err(error);
            }
            tracing::warn!(%error, "cannot store a chunk of a log; trying again");
            sleep(PAUSE).await;
        }
        pending.fetch_sub(chunk.content.len(), Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_few_chunks() {
        for (is_needed, most) in [(false, 1000), (true, 2500)] {
            let mut time = Duration::ZERO;
            let mut chunks = 0;
            while time < Duration::from_hours(24) {
                time += chunk_time(chunks, is_needed);
                chunks += 1;
            }
            assert!(chunks < most, "{chunks}");
        }
    }
}
