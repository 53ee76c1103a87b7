//! Events that the heartbeats do not carry any more, from the log of the task in the store.

use chrono::{DateTime, Utc};

use crate::{
    client::one_line,
    store::{StoreError, Vault},
    task::TaskId,
};

/// How often the store is asked for events that it does not have yet. A running task stores its log in chunks.
const ATTEMPTS: u32 = 5;

/// A part of a log, which is read chunk by chunk. Line N of a log is event N.
pub(super) struct LogGap {
    vault: Vault,
    task: TaskId,
    /// Chunks from before this time belong to an earlier task with the same id.
    created: DateTime<Utc>,
    /// How many chunks were read, and the number of the event after them.
    chunks: usize,
    number: u64,
    end: u64,
    attempts: u32,
}

impl LogGap {
    /// The events before `end`.
    pub(super) fn before(vault: Vault, task: TaskId, created: DateTime<Utc>, end: u64) -> Self {
        Self {
            vault,
            task,
            created,
            chunks: 0,
            number: 0,
            end,
            attempts: ATTEMPTS,
        }
    }

    /// The number of the event after the last one.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the store may be asked again after it had no more events.
    pub(super) fn may_wait(&mut self) -> bool {
        self.attempts = self.attempts.saturating_sub(1);
        self.attempts > 0
    }

    /// The events from `next` on that are in the next chunk. Empty if the store has no more of them now.
    ///
    /// # Errors
    /// When the store does not answer, or a chunk cannot be opened.
    pub(super) async fn read(&mut self, next: u64) -> Result<Vec<String>, StoreError> {
        let chunks = self.vault.chunks_since(&self.task, self.created).await?;
        for name in chunks.iter().skip(self.chunks) {
            let chunk = self.vault.chunk(name).await?;
            let text = String::from_utf8_lossy(&chunk);
            let (first, mut found) = (self.number, Vec::new());
            for (number, line) in (first..).zip(text.lines()) {
                self.number = number.saturating_add(1);
                if (next..self.end).contains(&number) {
                    found.push(one_line(line.to_owned()));
                }
            }
            self.chunks += 1;
            if !found.is_empty() || self.number >= self.end {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}
