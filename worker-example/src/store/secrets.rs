//! The secrets of a request: a sealed object that exists until its task ends.
//!
//! Temporal keeps histories for days. An attacker who gets the key later can decrypt them all. So the secrets are not in the
//! history. The input of the workflow names the object and its hash. After the object is deleted, nobody can recover them.

use std::{fmt::Write as _, time::Duration};

use chrono::Utc;
use zeroize::Zeroizing;

use super::{error::StoreError, vault::Vault};
use crate::task::{MAX_REQUEST_BYTES, SealedSecrets, TaskId};

/// The folder of the sealed secrets.
const FOLDER: &str = "encrypted-payloads";
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
        let object = self.secrets_name(task);
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
        let object = self.secrets_name(task);
        let modified = self.objects().modified(&object).await?;
        let is_young = modified.is_some_and(|modified| {
            let age = Utc::now().signed_duration_since(modified);
            age.to_std().is_ok_and(|age| age < ABANDONED)
        });
        if is_young {
            return Ok(None);
        }
        let sha256 = self.replace(&object, secrets).await?;
        Ok(Some(SealedSecrets { object, sha256 }))
    }

    /// Reads the secrets of a task. Only the object of this task is read, even if the reference names another one.
    ///
    /// # Errors
    /// When the object was deleted or replaced, or cannot be opened.
    pub(crate) async fn secrets(
        &self,
        sealed: &SealedSecrets,
        task: &TaskId,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let object = self.secrets_name(task);
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
        let object = self.secrets_name(task);
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
        self.objects().delete(&self.secrets_name(task)).await
    }

    fn secrets_name(&self, task: &TaskId) -> String {
        format!("{}/{task}", folder(self.namespace()))
    }
}

/// The folder of a namespace's secrets. Namespaces can share a store, and two of them can have tasks with the same id.
pub(super) fn folder(namespace: &str) -> String {
    let mut folder = format!("{FOLDER}/");
    for (place, byte) in namespace.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => folder.push(byte.into()),
            b'.' if place > 0 => folder.push('.'),
            other => {
                let _ = write!(folder, "={other:02x}");
            }
        }
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_a_folder_of_its_own() {
        for (namespace, expected) in [
            ("default", "encrypted-payloads/default"),
            ("a.b-c_D9", "encrypted-payloads/a.b-c_D9"),
            ("a/b", "encrypted-payloads/a=2fb"),
            ("..", "encrypted-payloads/=2e."),
            ("ä=", "encrypted-payloads/=c3=a4=3d"),
        ] {
            assert_eq!(folder(namespace), expected);
        }
    }
}
