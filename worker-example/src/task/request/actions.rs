//! The fields of a request that have fields themselves: files for Claude Code, and what happens after it succeeded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::DEFAULT_BRANCH;
use crate::task::secret::Secret;

/// A slash command or a subagent: Markdown with front matter.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PromptFile {
    /// The front matter, written as YAML.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub frontmatter: Map<String, Value>,
    /// The text.
    pub content: Secret,
}

/// What to do after Claude Code succeeded.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PostExecutionActions {
    /// Commit and push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitAction>,
    /// Store files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_files: Option<UploadAction>,
}

/// Commit and push.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GitAction {
    /// Whether to commit.
    #[serde(default)]
    pub commit: bool,
    /// The message of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<String>,
    /// Whether to push.
    #[serde(default)]
    pub push: bool,
    /// The branch to push to. [`branch`](Self::branch) has the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The files to commit, as globs. Without it, all changed files are committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// What to do when the remote branch has other commits.
    #[serde(default)]
    pub conflict_strategy: ConflictStrategy,
}

impl GitAction {
    /// The branch to push to.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.branch.as_deref().unwrap_or(DEFAULT_BRANCH)
    }
}

/// What to do when the remote branch has other commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConflictStrategy {
    /// Rebase, and force with a lease if that fails.
    #[default]
    Auto,
    /// Report it.
    Fail,
}

/// Store files of the workspace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UploadAction {
    /// The files, as globs inside the workspace.
    pub glob_patterns: Vec<String>,
    /// The folder below `uploads/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs_prefix: Option<String>,
}
