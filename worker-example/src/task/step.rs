//! The steps of a task: their names, and what travels between them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    effects::{GitCommit, UploadedFile},
    progress::Progress,
};

/// The activity that prepares a task. Its heartbeats do not mean that the session has begun.
pub(crate) const PREPARE: &str = "prepare_task";
/// The activities that run Claude Code. The first heartbeat means that the session begins.
pub(crate) const SESSIONS: [&str; 2] = ["run_session", "run_claude"];

/// The activity that does what the request asks for after a successful session.
const POST_EXECUTION: &str = "post_execution";
/// The activities of a task that ends.
const ENDING: [&str; 3] = ["clean_up", "close_task", "approve_webhook"];

/// How long a task may take from its first attempt to begin until it is prepared.
pub(crate) const PREPARE_TIME: Duration = Duration::from_hours(2);
/// How long all steps around a session may take together: the preparation, 65 minutes for the actions and the margin of the
/// session, 20 minutes for the steps after them, and half an hour without a worker.
pub(crate) const STEPS_TIME: Duration = Duration::from_hours(4);

/// A step of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// A worker prepares the workspace, or the task waits for a worker.
    #[default]
    Prepare,
    /// Claude Code runs.
    Run,
    /// The actions after a successful run.
    PostExecution,
    /// The workspace and the secrets are removed.
    CleanUp,
    /// The task has ended.
    Ended,
}

impl Step {
    /// The step to which an activity belongs.
    pub(crate) fn of_activity(name: &str) -> Option<Self> {
        match name {
            PREPARE => Some(Self::Prepare),
            name if SESSIONS.contains(&name) => Some(Self::Run),
            POST_EXECUTION => Some(Self::PostExecution),
            name if ENDING.contains(&name) => Some(Self::CleanUp),
            _ => None,
        }
    }

    /// The step in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "preparing",
            Self::Run => "running",
            Self::PostExecution => "post-execution actions",
            Self::CleanUp => "cleaning up",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer of the query `state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskState {
    /// The task.
    pub task_id: String,
    /// Its step.
    pub step: Step,
    /// The turns of Claude in a session that has ended. The heartbeats have those of a running session.
    pub turns: u64,
    /// The cost of a session that has ended, in US dollars.
    pub cost_usd: Option<f64>,
    /// Whether the task has cancelled itself, because its last connection has left or an update has asked for it. A
    /// cancellation in Temporal is not told here. Workers of earlier versions do not tell it.
    #[serde(default)]
    pub is_cancelled: bool,
}

impl TaskState {
    pub(crate) fn new(task: &str, step: Step, last: &Progress, is_cancelled: bool) -> Self {
        Self {
            task_id: task.to_owned(),
            step,
            turns: last.turns,
            cost_usd: last.cost_usd,
            is_cancelled,
        }
    }
}

/// The input of a step on the worker that prepared the task. It names the task, because an attacker who can write to Temporal
/// could schedule the step with the input of another task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepInput {
    pub(crate) task_id: String,
}

/// A worker has prepared the task, and holds a place for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prepared {
    /// The task.
    pub(crate) task_id: String,
    /// The task queue of this worker process alone.
    pub(crate) task_queue: String,
    /// Whether the namespace has the search attributes of tasks.
    #[serde(default)]
    pub(crate) search_attributes: bool,
    /// Whether the worker keeps logs in an object store.
    #[serde(default)]
    pub(crate) store: bool,
    /// Approves the task's webhook, if its request has a receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<String>,
}

/// How a task ended: `metadata.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionMetadata {
    /// The task.
    pub(crate) task_id: String,
    /// `completed`, `failed` or `cancelled`.
    pub(crate) status: String,
    /// Claude Code's exit code.
    pub(crate) exit_code: Option<i32>,
    /// When the task began (RFC 3339).
    pub(crate) started_at: String,
    /// When the task ended (RFC 3339).
    pub(crate) completed_at: String,
    /// The number of events.
    pub(crate) events: u64,
    /// The turns of Claude.
    pub(crate) turns: u64,
    /// The errors that Claude Code reported.
    pub(crate) errors: u64,
    /// The cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cost_usd: Option<f64>,
}

/// The input of the step that closes a task outside of Temporal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CloseTask {
    pub(crate) task_id: String,
    /// How the task ended. `None` if no worker began it.
    #[serde(default)]
    pub(crate) metadata: Option<SessionMetadata>,
}

/// What was done after a successful session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionsReport {
    pub(crate) task_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) git_commit: Option<GitCommit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) uploaded_files: Vec<UploadedFile>,
    /// What was left out, and what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}
