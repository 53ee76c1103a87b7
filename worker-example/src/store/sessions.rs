//! The log of a task and what belongs to it.

use zeroize::Zeroizing;

use super::{error::StoreError, vault::Vault};
use crate::task::{SessionMetadata, TaskId};

/// The folder of all sessions.
pub(super) const FOLDER: &str = "sessions";
/// The largest chunk of a log that is read, in bytes. An event can be as long as a whole line of Claude Code.
const MAX_CHUNK: u64 = 64 << 20;
const MAX_METADATA: u64 = 1 << 20;
const METADATA: &str = "metadata.json";

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

    /// The names of the chunks of a task's log, in their order.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn chunks(&self, task: &TaskId) -> Result<Vec<String>, StoreError> {
        let folder = folder(task);
        let listed = self.objects().list(&folder).await?;
        let mut chunks: Vec<(u32, String)> = listed
            .into_iter()
            .filter_map(|listed| {
                let file = listed.name.strip_prefix(&folder)?.strip_prefix('/')?;
                let number = file.strip_suffix(".jsonl")?.split_once('-')?.0;
                Some((number.parse().ok()?, listed.name))
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
