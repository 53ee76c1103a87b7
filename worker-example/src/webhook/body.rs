//! The body of a webhook: compact JSON with the names and the order of the task API.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::{GitCommit, UploadedFile};

/// The exit code of a cancelled task, as shells report it for Ctrl-C.
const CANCELLED_EXIT_CODE: i32 = 130;

/// What a webhook says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    /// The task.
    pub(crate) task_id: String,
    /// How it ended.
    pub(crate) status: Status,
    /// Claude Code's exit code; 130 for a cancelled task.
    pub(crate) exit_code: i32,
    /// The folder of the task's log.
    pub(crate) logs_path: String,
    /// Times and counts.
    pub(crate) summary: Summary,
    /// Why the task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The metadata of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The files that were uploaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) uploaded_files: Vec<UploadedFile>,
    /// The commit that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) git_commit: Option<GitCommit>,
    /// What the service changed or left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It succeeded.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// Times and counts of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// How long it ran, in milliseconds.
    pub(crate) duration_ms: u64,
    /// The turns that Claude took.
    pub(crate) turns: u64,
    /// The errors that occurred.
    pub(crate) errors: u64,
    /// When it began.
    pub(crate) started_at: String,
    /// When it ended.
    pub(crate) completed_at: String,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled_at: Option<String>,
}

impl Body {
    /// A body without optional fields. The exit code of a cancelled task is 130.
    pub(crate) fn new(
        task_id: String,
        status: Status,
        exit_code: i32,
        logs_path: String,
        summary: Summary,
    ) -> Self {
        let exit_code = match status {
            Status::Cancelled => CANCELLED_EXIT_CODE,
            Status::Completed | Status::Failed => exit_code,
        };
        Self {
            task_id,
            status,
            exit_code,
            logs_path,
            summary,
            error: None,
            metadata: None,
            uploaded_files: Vec::new(),
            git_commit: None,
            warnings: Vec::new(),
        }
    }

    /// The bytes that are sent and signed.
    ///
    /// # Errors
    /// Never for a body of this service. All its keys are strings.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

impl Summary {
    /// The summary of a task that ran between these times.
    pub(crate) fn between(started: SystemTime, ended: SystemTime, turns: u64, errors: u64) -> Self {
        let lasted = ended.duration_since(started).unwrap_or_default();
        Self {
            duration_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            turns,
            errors,
            started_at: iso_8601(started),
            completed_at: iso_8601(ended),
            cancelled_at: None,
        }
    }
}

/// A time as JavaScript's `toISOString` writes it.
pub(crate) fn iso_8601(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn body(status: Status) -> Body {
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let ended = started + Duration::from_millis(2500);
        let summary = Summary::between(started, ended, 3, 0);
        Body::new("t-1".into(), status, 0, "sessions/t-1".into(), summary)
    }

    #[test]
    fn leaves_out_what_is_not_there() {
        assert_eq!(
            String::from_utf8(body(Status::Completed).to_json().unwrap()).unwrap(),
            r#"{"taskId":"t-1","status":"completed","exitCode":0,"logsPath":"sessions/t-1","summary":{"durationMs":2500,"turns":3,"errors":0,"startedAt":"2023-11-14T22:13:20.123Z","completedAt":"2023-11-14T22:13:22.623Z"}}"#
        );
    }

    #[test]
    fn has_every_field_of_the_contract() {
        let mut full = body(Status::Cancelled);
        full.error = Some("why".into());
        full.metadata = json!({"k": [1]}).as_object().cloned();
        full.summary.cancelled_at = Some(full.summary.completed_at.clone());
        full.uploaded_files = vec![UploadedFile::new("a".into(), "s/a".into(), 1)];
        full.git_commit = Some(GitCommit::new("ab".into(), "m".into()));
        let shown: Value = serde_json::from_slice(&full.to_json().unwrap()).unwrap();
        assert_eq!(shown["status"], "cancelled");
        assert_eq!(shown["exitCode"], 130);
        assert_eq!(shown["metadata"], json!({"k": [1]}));
        assert_eq!(shown["summary"]["cancelledAt"], "2023-11-14T22:13:22.623Z");
        assert_eq!(shown["uploadedFiles"][0]["sizeBytes"], 1);
        assert_eq!(shown["gitCommit"]["pushed"], false);
        assert!(shown.get("warnings").is_none());
    }
}
