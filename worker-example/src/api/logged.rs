//! The events of a task from its log in the store. The heartbeats carry only the newest events, and no large ones.

use chrono::{DateTime, Utc};
use tokio::time::Duration;

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
    /// Whether chunks that are stored later count, too.
    is_growing: bool,
    /// How many chunks were read, and the number of the event after them.
    chunks: usize,
    number: u64,
    /// The number of the first event of the chunk that was read last.
    first: u64,
}

/// Up to where a client has read a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadBefore<'a> {
    /// The number of the next event.
    pub(super) next: u64,
    /// The file of the last chunk that was read, if the client knows it. `next` is then the first event after it.
    pub(super) chunk: Option<&'a str>,
}

impl LoggedEvents {
    /// The log of a task that may still run.
    pub(super) fn new(vault: Vault, task: TaskId, created: DateTime<Utc>) -> Self {
        Self {
            vault,
            task,
            created,
            names: Vec::new(),
            is_growing: true,
            chunks: 0,
            number: 0,
            first: 0,
        }
    }

    /// The log as it is stored now, without the chunks that the client has read.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn stored(
        vault: Vault,
        task: TaskId,
        created: DateTime<Utc>,
        before: ReadBefore<'_>,
    ) -> Result<Self, StoreError> {
        let mut log = Self::new(vault, task, created);
        log.is_growing = false;
        log.list().await?;
        let is_last = |name: &String| Some(file(name)) == before.chunk;
        // A chunk that is not there any more, or never was: the events before `next` are counted then.
        if let Some(last) = log.names.iter().position(is_last) {
            (log.chunks, log.number) = (last + 1, before.next);
        }
        Ok(log)
    }

    /// The file of the last chunk.
    pub(super) fn last(&self) -> Option<&str> {
        self.names.last().map(|name| file(name))
    }

    async fn list(&mut self) -> Result<(), StoreError> {
        self.names = self.vault.chunks_since(&self.task, self.created).await?;
        Ok(())
    }

    /// The events from `next` on that are in the next chunks. Empty if the store has no more of them now.
    ///
    /// # Errors
    /// When the store does not answer, or a chunk cannot be opened.
    pub(super) async fn read(&mut self, next: u64) -> Result<Vec<String>, StoreError> {
        loop {
            if self.is_growing && self.chunks >= self.names.len() {
                self.list().await?;
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
        self.first = self.number;
        let mut found = Vec::new();
        for (number, line) in (self.first..).zip(chunk.lines()) {
            self.number = number.saturating_add(1);
            if number >= next {
                found.push(one_line(line.to_owned()));
            }
        }
        found
    }

    /// Reads the last chunk again next time.
    pub(super) fn again(&mut self) {
        self.chunks = self.chunks.saturating_sub(1);
        self.number = self.first;
    }
}

/// The file of a chunk, without its folder.
fn file(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, file)| file)
}

/// Events that a stream needs from the log.
#[derive(Debug)]
pub(super) struct Gap {
    /// The number of the event after the last one.
    pub(super) end: u64,
    /// The announcement of the only event, which was too large for a heartbeat.
    pub(super) announcement: Option<String>,
    /// How long the store has had nothing of it.
    missing: Duration,
}

impl Gap {
    pub(super) fn before(end: u64) -> Self {
        Self {
            end,
            announcement: None,
            missing: Duration::ZERO,
        }
    }

    pub(super) fn of_announced(end: u64, announcement: String) -> Self {
        Self {
            announcement: Some(announcement),
            ..Self::before(end)
        }
    }

    /// Notes that the store has had a part of the events.
    pub(super) fn found(&mut self) {
        self.missing = Duration::ZERO;
    }

    /// Notes that the store has had nothing for this time. Returns whether it may still get the events.
    pub(super) fn missed_for(&mut self, time: Duration) -> bool {
        self.missing = self.missing.saturating_add(time);
        self.missing < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, path::Path};

    use super::*;
    use crate::store::for_tests::vault;

    const FIRST: &str = "000-20261126-231502.jsonl";
    const SECOND: &str = "001-20261126-231507.jsonl";

    /// A log of two chunks: the events 0 and 1, and the events 2 to 4.
    async fn two_chunks(folder: &Path) -> Vault {
        let vault = vault(folder).await;
        for (file, numbers) in [(FIRST, 0..2), (SECOND, 2..5)] {
            store(&vault, file, numbers).await;
        }
        vault
    }

    async fn store(vault: &Vault, file: &str, numbers: Range<u64>) {
        let (name, content) = (format!("sessions/t/{file}"), events(numbers).join("\n"));
        vault.put_session(&name, content.as_bytes()).await.unwrap();
    }

    fn events(numbers: Range<u64>) -> Vec<String> {
        numbers.map(|n| format!(r#"{{"n":{n}}}"#)).collect()
    }

    async fn stored(vault: &Vault, before: ReadBefore<'_>) -> LoggedEvents {
        let (task, created) = ("t".parse().unwrap(), DateTime::UNIX_EPOCH);
        let log = LoggedEvents::stored(vault.clone(), task, created, before);
        log.await.unwrap()
    }

    /// All events from `next` on, as far as they can be read.
    async fn rest(log: &mut LoggedEvents, mut next: u64) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        loop {
            let found = log.read(next).await?;
            if found.is_empty() {
                return Ok(all);
            }
            next += found.len() as u64;
            all.extend(found);
        }
    }

    #[tokio::test]
    async fn chunks_that_the_client_has_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let vault = two_chunks(folder.path()).await;
        let read = async |next: u64, chunk: Option<&str>| {
            let mut log = stored(&vault, ReadBefore { next, chunk }).await;
            assert_eq!(log.last(), Some(SECOND));
            rest(&mut log, next).await.ok()
        };
        assert_eq!(read(0, None).await, Some(events(0..5)));
        for chunk in [None, Some("unknown"), Some(FIRST)] {
            assert_eq!(read(2, chunk).await, Some(events(2..5)), "{chunk:?}");
        }
        assert_eq!(read(5, Some(SECOND)).await, Some(Vec::new()));
        // A chunk that cannot be opened shows that it was read.
        let first = folder.path().join("objects/sessions/t").join(FIRST);
        std::fs::write(first, "x").unwrap();
        assert_eq!(read(2, None).await, None);
        assert_eq!(read(2, Some(FIRST)).await, Some(events(2..5)));
    }

    #[tokio::test]
    async fn a_chunk_that_was_given_up_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let vault = two_chunks(folder.path()).await;
        let created = DateTime::UNIX_EPOCH;
        let mut log = LoggedEvents::new(vault, "t".parse().unwrap(), created);
        assert_eq!(log.read(0).await.unwrap(), events(0..2));
        assert_eq!(log.read(2).await.unwrap(), events(2..5));
        log.again();
        assert_eq!(log.read(3).await.unwrap(), events(3..5));
        assert!(log.read(5).await.unwrap().is_empty());
    }

    #[test]
    fn only_the_time_in_which_the_store_has_nothing_ends_a_gap() {
        let mut gap = Gap::before(7);
        let half = PATIENCE / 2;
        assert!(gap.missed_for(half));
        gap.found();
        assert!(gap.missed_for(half));
        assert!(!gap.missed_for(half));
    }

    #[tokio::test]
    async fn an_answer_has_the_chunks_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let vault = two_chunks(folder.path()).await;
        let from_start = ReadBefore {
            next: 0,
            chunk: None,
        };
        let mut log = stored(&vault, from_start).await;
        store(&vault, "002-20261126-231512.jsonl", 5..6).await;
        assert_eq!(log.last(), Some(SECOND));
        assert_eq!(rest(&mut log, 0).await.unwrap().len(), 5);
    }
}
