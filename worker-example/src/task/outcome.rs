//! How a task ended: what the activity tells the workflow, and the workflow its caller.

use crate::{
    claude::{ResultEvent, shortened},
    failure::FailureKind,
    progress::Progress,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The most of Claude's text that an error message repeats; the result has all of it.
const MAX_PROBLEM_TEXT: usize = 4 * 1024;

/// The activity's account of a session. It names its task: somebody who can write to Temporal could answer for the worker
/// with the account of another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionOutcome {
    /// The task.
    #[serde(default)]
    pub task_id: String,
    /// The CLI's exit code; 128 + N after signal N.
    pub exit_code: i32,
    /// The last `result` event.
    pub result: Option<ResultEvent>,
    /// The newest events, for followers whom no heartbeat reached any more, and the totals.
    pub progress: Progress,
    /// The last of standard error, where the session failed.
    pub stderr: String,
    /// Where the log is, under the worker's folder.
    pub logs_path: String,
    /// What the worker's operator does not allow and was lowered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl SessionOutcome {
    /// Success takes both: a `result` that is not an error, and exit code 0.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.exit_code != 0 || self.result.as_ref().is_none_or(|result| result.is_error)
    }

    /// What went wrong, in one paragraph.
    #[must_use]
    pub fn problem(&self) -> String {
        let Some(result) = &self.result else {
            let said = if self.stderr.is_empty() {
                "nothing"
            } else {
                self.stderr.as_str()
            };
            return format!(
                "Claude Code ended with exit code {} and without a result; it said: {said}",
                self.exit_code
            );
        };
        if result.subtype.as_deref() == Some("error_max_turns") {
            let turns = result.num_turns.unwrap_or_default();
            let unit = if turns == 1 { "turn" } else { "turns" };
            return format!("stopped after {turns} {unit}, the most allowed; raise --max-turns");
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

/// What a failed activity reports, as the details of its failure. The message of a failure is encrypted apart from its
/// details. Only what is in here is known to be of this task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureReport {
    /// The task.
    pub(crate) task_id: String,
    /// The failure's type, one of [`FailureKind`].
    pub(crate) kind: String,
    /// What a caller reads.
    pub(crate) message: String,
    /// The session, where it ended at this worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<SessionOutcome>,
    /// The newest events of a session that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Progress>,
}

impl FailureReport {
    pub(crate) fn new(task: &str, kind: FailureKind, message: String) -> Self {
        Self {
            task_id: task.to_owned(),
            kind: kind.as_str().to_owned(),
            message,
            outcome: None,
            last: None,
        }
    }
}

/// A task's result: that of the workflow when it went well, the details of its failure or
/// cancellation when not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskResult {
    /// The task.
    pub task_id: String,
    /// The CLI's exit code; 130 for a cancelled task; absent where the CLI's end is not known.
    pub exit_code: Option<i32>,
    /// Whether the task failed.
    pub is_error: bool,
    /// The facts of the CLI's last `result` event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultEvent>,
    /// How many events there were.
    pub events: u64,
    /// How many bytes the CLI printed.
    pub bytes: u64,
    /// Where the log is, under the worker's folder.
    pub logs_path: String,
    /// What the caller had given along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// What the caller asked for and the worker's operator does not allow. The task ran with less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why the task failed. The message of Temporal's own failure is encrypted apart and could be another task's.
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
                .ends_with("it said: unknown option")
        );
    }
}
