//! The secrets of a request: a sealed object that exists until its task ends.
//!
//! Temporal keeps histories for days. Somebody who gets the key later can decrypt them all. So the secrets are not in the
//! history. The input of the workflow names the object and its hash. After the object is deleted, nobody can recover them.

use std::time::Duration;

use chrono::Utc;
use zeroize::Zeroizing;

use super::{error::StoreError, vault::Vault};
use crate::task::{MAX_REQUEST_BYTES, SealedSecrets, TaskId};

/// The folder of the sealed secrets.
pub(super) const FOLDER: &str = "encrypted-payloads";
/// How old an object without a workflow must be before another submission replaces it. The workflow is started at once after
/// the object was stored.
const ABANDONED: Duration = Duration::from_mins(2);
/// The most bytes of secrets.
const LIMIT: u64 = MAX_REQUEST_BYTES as u64;

impl Vault {
    /// Stores the secrets of a task. `None` if the task already has an object: then either the task exists, or its submission
    /// goes on elsewhere.
    ///
    /// # Errors
    /// When they cannot be sealed or stored.
    pub(crate) async fn put_secrets(
        &self,
        task: &TaskId,
        secrets: &[u8],
    ) -> Result<Option<SealedSecrets>, StoreError> {
        let object = name(task);
        match self.create(&object, secrets).await {
            Ok(sha256) => Ok(Some(SealedSecrets { object, sha256 })),
            Err(StoreError::Exists { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`put_secrets`](Self::put_secrets), over the object of a submission that was not finished. `None` if that object is young.
    ///
    /// # Errors
    /// When they cannot be sealed or stored.
    pub(crate) async fn replace_secrets(
        &self,
        task: &TaskId,
        secrets: &[u8],
    ) -> Result<Option<SealedSecrets>, StoreError> {
        let object = name(task);
        let listed = self.objects().list(FOLDER).await?;
        let is_young = listed.iter().any(|listed| {
            let age = Utc::now().signed_duration_since(listed.modified);
            listed.name == object && age.to_std().is_ok_and(|age| age < ABANDONED)
        });
        if is_young {
            return Ok(None);
        }
        let sha256 = self.replace(&object, secrets).await?;
        Ok(Some(SealedSecrets { object, sha256 }))
    }

    /// Reads the secrets of a task. Only the object of this task is read, whatever the reference says.
    ///
    /// # Errors
    /// When the object was deleted or replaced, or cannot be opened.
    pub(crate) async fn secrets(
        &self,
        sealed: &SealedSecrets,
        task: &TaskId,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let object = name(task);
        if sealed.object != object {
            return Err(StoreError::Replaced { object });
        }
        self.open(&object, &sealed.sha256, LIMIT).await
    }

    /// Deletes the secrets of a submission whose task does not start. The object stays if it is that of another submission.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub(crate) async fn delete_unused_secrets(
        &self,
        task: &TaskId,
        sealed: &SealedSecrets,
    ) -> Result<(), StoreError> {
        let object = name(task);
        if self.has_hash(&object, &sealed.sha256, LIMIT).await? {
            self.objects().delete(&object).await?;
        }
        Ok(())
    }

    /// Deletes the secrets of a task. After this, nobody can recover them.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub(crate) async fn delete_secrets(&self, task: &TaskId) -> Result<(), StoreError> {
        self.objects().delete(&name(task)).await
    }
}

fn name(task: &TaskId) -> String {
    format!("{FOLDER}/{task}")
}
