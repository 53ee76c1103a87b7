//! How far a task is: its newest events, which a heartbeat of the activity carries.

use serde::{Deserialize, Serialize};

use super::id::TaskId;

/// The details of a heartbeat: the events `first .. first + events.len()` of the task, and totals. They name their task, so
/// that a copy in another task is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Progress {
    /// The task.
    #[serde(default)]
    pub task_id: String,
    /// The number of the first event in `events`. The first event of a task has number 0.
    pub first: u64,
    /// The newest events, each one line of JSON as in the log.
    pub events: Vec<String>,
    /// How many bytes Claude Code has printed.
    pub bytes: u64,
    /// How many turns Claude has taken.
    #[serde(default)]
    pub turns: u64,
    /// The cost so far in US dollars, as far as Claude Code has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How many errors Claude Code has reported.
    #[serde(default)]
    pub errors: u64,
}

impl Progress {
    pub(crate) fn new(task: &TaskId, first: u64, events: Vec<String>, bytes: u64) -> Self {
        Self {
            task_id: task.to_string(),
            first,
            events,
            bytes,
            turns: 0,
            cost_usd: None,
            errors: 0,
        }
    }

    /// The progress of a task that begins.
    pub(crate) fn of_beginning(task: &TaskId) -> Self {
        Self::new(task, 0, Vec::new(), 0)
    }

    /// Whether it belongs to this task.
    pub(crate) fn is_of(&self, task: &str) -> bool {
        self.task_id == task
    }

    /// How many events the task has had.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_numbers_do_not_overflow() {
        let forged = Progress {
            task_id: String::new(),
            first: u64::MAX,
            events: vec![String::new(); 3],
            bytes: u64::MAX,
            ..Progress::default()
        };
        assert_eq!(forged.total(), u64::MAX);
    }
}
