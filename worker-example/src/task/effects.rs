//! What the service does for a task after Claude Code: the commit and the uploads, as results and webhooks report them.

use serde::{Deserialize, Serialize};

/// The commit that the service made for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GitCommit {
    /// The commit's name, 40 or 64 hexadecimal digits.
    pub sha: String,
    /// The commit's message.
    pub message: String,
    /// Whether the remote repository has the commit.
    pub pushed: bool,
    /// The branch that it was pushed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// How a rejected push was repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// How the service repeated a push that the remote repository rejected, because it had other commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Recovery {
    /// What succeeded.
    pub method: RecoveryMethod,
    /// The commit that the remote branch had.
    pub remote_sha: String,
    /// The files that both sides changed in the same place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflict_files: Vec<String>,
}

/// A way to repeat a rejected push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecoveryMethod {
    /// The commit was applied to the remote branch. In conflicts the task's side won.
    Rebase,
    /// The commit replaced the remote branch, which still was at `remoteSha`.
    ForceWithLease,
}

/// A file that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UploadedFile {
    /// Its path in the workspace.
    pub original_path: String,
    /// Its path in the object store.
    pub gcs_path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl GitCommit {
    /// A commit that is not pushed.
    #[must_use]
    pub fn new(sha: String, message: String) -> Self {
        Self {
            sha,
            message,
            pushed: false,
            branch: None,
            recovery: None,
        }
    }
}

impl Recovery {
    /// A recovery by this method from this remote commit.
    #[must_use]
    pub fn new(method: RecoveryMethod, remote_sha: String, conflict_files: Vec<String>) -> Self {
        Self {
            method,
            remote_sha,
            conflict_files,
        }
    }
}

impl UploadedFile {
    /// A file of the workspace and its place in the object store.
    #[must_use]
    pub fn new(original_path: String, gcs_path: String, size_bytes: u64) -> Self {
        Self {
            original_path,
            gcs_path,
            size_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_names_of_the_contract() {
        let mut commit = GitCommit::new("ab".into(), "m".into());
        assert_eq!(
            serde_json::to_string(&commit).unwrap(),
            r#"{"sha":"ab","message":"m","pushed":false}"#
        );
        commit.pushed = true;
        commit.branch = Some("main".into());
        let (method, files) = (RecoveryMethod::ForceWithLease, vec!["a.txt".into()]);
        commit.recovery = Some(Recovery::new(method, "cd".into(), files));
        assert_eq!(
            serde_json::to_string(&commit).unwrap(),
            r#"{"sha":"ab","message":"m","pushed":true,"branch":"main","recovery":{"method":"force-with-lease","remoteSha":"cd","conflictFiles":["a.txt"]}}"#
        );
        assert_eq!(
            serde_json::to_string(&UploadedFile::new("a".into(), "s/a".into(), 3)).unwrap(),
            r#"{"originalPath":"a","gcsPath":"s/a","sizeBytes":3}"#
        );
    }
}
