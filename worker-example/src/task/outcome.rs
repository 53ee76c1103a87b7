//! How a task ended: what the activity reports to the workflow, and the workflow to its caller.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    effects::{GitCommit, UploadedFile},
    event::{ResultEvent, shortened},
    progress::Progress,
};

/// The longest part of Claude's text that an error message repeats, in bytes. The result has more of it.
const MAX_PROBLEM_TEXT: usize = 4 * 1024;

/// The activity's report of a session. It names its task, because an attacker who can write to Temporal could send the
/// report of another task in the worker's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionOutcome {
    /// The task.
    #[serde(default)]
    pub task_id: String,
    /// Claude Code's exit code; 128 + N after signal N.
    pub exit_code: i32,
    /// The last `result` event.
    pub result: Option<ResultEvent>,
    /// The newest events, which no heartbeat has carried yet, and the totals.
    pub progress: Progress,
    /// The last lines of standard error, if the session failed.
    pub stderr: String,
    /// The log's folder, relative to the worker's `--workdir`.
    pub logs_path: String,
    /// What the worker's limits changed in the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl SessionOutcome {
    /// Whether the session failed. It succeeded if its `result` event is not an error and the exit code is 0.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.exit_code != 0 || self.result.as_ref().is_none_or(|result| result.is_error)
    }

    /// Why the session failed, in one paragraph.
    #[must_use]
    pub fn problem(&self) -> String {
        let Some(result) = &self.result else {
            let error_output = if self.stderr.is_empty() {
                "nothing"
            } else {
                self.stderr.as_str()
            };
            return format!(
                "Claude Code ended with exit code {} and without a result. Its error output: {error_output}",
                self.exit_code
            );
        };
        if result.subtype.as_deref() == Some("error_max_turns") {
            let turns = result.num_turns.unwrap_or_default();
            let unit = if turns == 1 { "turn" } else { "turns" };
            return format!(
                "Claude Code stopped after {turns} {unit}, the most allowed; raise --max-turns"
            );
        }
        let mut problem = format!("Claude Code failed (exit code {})", self.exit_code);
        if let Some(status) = result.api_error_status {
            let _ = write!(problem, ", the API answered {status}");
        }
        if let Some(subtype) = result.subtype.as_ref().filter(|s| *s != "success") {
            let _ = write!(problem, ", {subtype}");
        }
        if let Some(text) = &result.text {
            problem.push_str(": ");
            problem.push_str(&shortened(text, MAX_PROBLEM_TEXT));
        }
        problem
    }
}

/// A task's result. It is the workflow's result if the task succeeded, and otherwise the details of the workflow's failure
/// or cancellation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskResult {
    /// The task.
    pub task_id: String,
    /// Claude Code's exit code; 130 for a cancelled task; `None` if the exit code is not known.
    pub exit_code: Option<i32>,
    /// Whether the task failed.
    pub is_error: bool,
    /// The facts of Claude Code's last `result` event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultEvent>,
    /// How many events Claude Code printed.
    pub events: u64,
    /// How many bytes Claude Code printed.
    pub bytes: u64,
    /// The log's folder, relative to the worker's `--workdir`.
    pub logs_path: String,
    /// The metadata of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// What the worker's limits changed in the request. The task ran with less than its caller asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The commit that the service made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<GitCommit>,
    /// The files that the service stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploaded_files: Vec<UploadedFile>,
    /// The workflow that delivers the webhook. `None` if no webhook is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_workflow: Option<String>,
    /// Why the task failed. The message of Temporal's failure is encrypted separately, so it could be copied from another
    /// task. This text cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl TaskResult {
    pub(crate) fn new(
        task: &str,
        outcome: Option<&SessionOutcome>,
        metadata: Option<Map<String, Value>>,
    ) -> Self {
        Self {
            task_id: task.to_owned(),
            exit_code: outcome.map(|o| o.exit_code),
            is_error: outcome.is_none_or(SessionOutcome::is_error),
            result: outcome.and_then(|o| o.result.clone()),
            events: outcome.map_or(0, |o| o.progress.total()),
            bytes: outcome.map_or(0, |o| o.progress.bytes),
            logs_path: format!("sessions/{task}"),
            metadata,
            warnings: outcome.map_or_else(Vec::new, |o| o.warnings.clone()),
            git_commit: None,
            uploaded_files: Vec::new(),
            webhook_workflow: None,
            problem: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(exit_code: i32, result: Option<ResultEvent>) -> SessionOutcome {
        let stderr = "unknown option".into();
        let (progress, logs_path) = (Progress::default(), "sessions/t".into());
        SessionOutcome {
            task_id: "t".into(),
            exit_code,
            result,
            progress,
            stderr,
            logs_path,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn success_takes_a_good_result_and_exit_code_0() {
        let good = ResultEvent {
            is_error: false,
            ..ResultEvent::default()
        };
        assert!(!outcome(0, Some(good.clone())).is_error());
        assert!(outcome(1, Some(good)).is_error());
        assert!(outcome(0, None).is_error());
    }

    #[test]
    fn tells_what_went_wrong() {
        let refused = ResultEvent {
            is_error: true,
            subtype: Some("success".into()),
            api_error_status: Some(401),
            text: Some("Invalid API key".into()),
            ..ResultEvent::default()
        };
        assert_eq!(
            outcome(1, Some(refused)).problem(),
            "Claude Code failed (exit code 1), the API answered 401: Invalid API key"
        );
        assert!(
            outcome(1, None)
                .problem()
                .ends_with("error output: unknown option")
        );
    }
}
