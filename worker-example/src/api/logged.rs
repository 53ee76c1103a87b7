//! The events of a task from its log in the store. The heartbeats carry only the newest events, and no large ones.

use chrono::{DateTime, Utc};
use tokio::time::{Duration, Instant};

use crate::{
    client::one_line,
    store::{LONGEST_CHUNK, StoreError, Vault},
    task::TaskId,
};

/// How long a stream waits for an event that the store does not have yet. A running task stores its log in chunks.
const PATIENCE: Duration = LONGEST_CHUNK.saturating_add(Duration::from_mins(1));

/// A log, which is read chunk by chunk, each chunk once. Line N of a log is event N.
pub(super) struct LoggedEvents {
    vault: Vault,
    task: TaskId,
    /// Chunks from before this time belong to an earlier task with the same id.
    created: DateTime<Utc>,
    /// The chunks that were found so far.
    names: Vec<String>,
    /// How many of them were read, and the number of the event after them.
    chunks: usize,
    number: u64,
}

impl LoggedEvents {
    pub(super) fn new(vault: Vault, task: TaskId, created: DateTime<Utc>) -> Self {
        Self {
            vault,
            task,
            created,
            names: Vec::new(),
            chunks: 0,
            number: 0,
        }
    }

    /// The events from `next` on that are in the next chunks. Empty if the store has no more of them now.
    ///
    /// # Errors
    /// When the store does not answer, or a chunk cannot be opened.
    pub(super) async fn read(&mut self, next: u64) -> Result<Vec<String>, StoreError> {
        loop {
            if self.chunks >= self.names.len() {
                self.names = self.vault.chunks_since(&self.task, self.created).await?;
            }
            let Some(name) = self.names.get(self.chunks) else {
                return Ok(Vec::new());
            };
            let chunk = self.vault.chunk(name).await?;
            let found = self.take(&String::from_utf8_lossy(&chunk), next);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// The events of a chunk from `next` on.
    fn take(&mut self, chunk: &str, next: u64) -> Vec<String> {
        self.chunks += 1;
        let first = self.number;
        let mut found = Vec::new();
        for (number, line) in (first..).zip(chunk.lines()) {
            self.number = number.saturating_add(1);
            if number >= next {
                found.push(one_line(line.to_owned()));
            }
        }
        found
    }
}

/// Events that a stream needs from the log.
#[derive(Debug)]
pub(super) struct Gap {
    /// The number of the event after the last one.
    pub(super) end: u64,
    /// The announcement of the only event, which was too large for a heartbeat.
    pub(super) announcement: Option<String>,
    since: Instant,
}

impl Gap {
    pub(super) fn before(end: u64) -> Self {
        Self {
            end,
            announcement: None,
            since: Instant::now(),
        }
    }

    pub(super) fn of_announced(end: u64, announcement: String) -> Self {
        Self {
            announcement: Some(announcement),
            ..Self::before(end)
        }
    }

    /// Whether the log may still get the events.
    pub(super) fn may_wait(&self) -> bool {
        self.since.elapsed() < PATIENCE
    }
}
