//! The log of a task and what belongs to it.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

use super::{error::StoreError, vault::Vault};
use crate::task::{SessionMetadata, TaskId};

/// The folder of all sessions.
pub(super) const FOLDER: &str = "sessions";
/// The largest chunk of a log that is read, in bytes. An event can be as long as a whole line of Claude Code.
const MAX_CHUNK: u64 = 64 << 20;
const MAX_METADATA: u64 = 1 << 20;
const METADATA: &str = "metadata.json";
/// How far the clocks of Temporal and of a worker may be apart. Temporal keeps a task for much longer, and does not take its id
/// again in this time.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(10);

/// The folder of a task.
pub(crate) fn folder(task: &TaskId) -> String {
    format!("{FOLDER}/{task}")
}

impl Vault {
    /// Stores how a task ended.
    ///
    /// # Errors
    /// When it cannot be sealed or stored.
    pub(crate) async fn put_metadata(
        &self,
        task: &TaskId,
        metadata: &SessionMetadata,
    ) -> Result<(), StoreError> {
        let name = format!("{}/{METADATA}", folder(task));
        // This cannot fail: every key is a string.
        let json = serde_json::to_vec(metadata).unwrap_or_default();
        self.put_session(&name, &json).await
    }

    /// Reads how a task ended. `None` if it has not ended.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub(crate) async fn metadata(
        &self,
        task: &TaskId,
    ) -> Result<Option<SessionMetadata>, StoreError> {
        let name = format!("{}/{METADATA}", folder(task));
        match self.get_session(&name, MAX_METADATA).await {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a task with this id has left a log, artefacts or its end. They stay longer than Temporal knows the task.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn has_session(&self, task: &TaskId) -> Result<bool, StoreError> {
        self.objects().has_any(&folder(task)).await
    }

    /// The names of the chunks of a task's log, in their order.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn chunks(&self, task: &TaskId) -> Result<Vec<String>, StoreError> {
        self.chunks_since(task, DateTime::UNIX_EPOCH).await
    }

    /// The names of the chunks that were written since a task was created, in their order. Other chunks with its id belong to an
    /// earlier task, perhaps of another caller.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn chunks_since(
        &self,
        task: &TaskId,
        created: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let folder = folder(task);
        let oldest = created.checked_sub_signed(MAX_SKEW).unwrap_or(created);
        let listed = self.objects().list(&folder).await?;
        let mut chunks: Vec<(u32, String)> = listed
            .into_iter()
            .filter_map(|listed| {
                let file = listed.name.strip_prefix(&folder)?.strip_prefix('/')?;
                let (number, time) = chunk(file)?;
                (time >= oldest).then_some((number, listed.name))
            })
            .collect();
        chunks.sort();
        Ok(chunks.into_iter().map(|(_, name)| name).collect())
    }

    /// Reads a chunk of a task's log.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub(crate) async fn chunk(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.get_session(name, MAX_CHUNK).await
    }
}

/// The number of a chunk and when it was written, from the name of its file.
fn chunk(file: &str) -> Option<(u32, DateTime<Utc>)> {
    let (number, time) = file.strip_suffix(".jsonl")?.split_once('-')?;
    let time = NaiveDateTime::parse_from_str(time, "%Y%m%d-%H%M%S").ok()?;
    Some((number.parse().ok()?, time.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_chunk_says_when_it_was_written() {
        let (number, time) = chunk("012-20261126-231502.jsonl").unwrap();
        assert_eq!(number, 12);
        assert_eq!(time.to_rfc3339(), "2026-11-26T23:15:02+00:00");
        for other in ["metadata.json", "x-20261126-231502.jsonl", "001-x.jsonl"] {
            assert_eq!(chunk(other), None, "{other}");
        }
    }
}
