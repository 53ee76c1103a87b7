//! Following a task through Temporal alone: its events are read from the heartbeats of its pending
//! activity, and the last ones from the workflow by a query.

use std::time::Duration;

use serde_json::{Value, json};
use temporalio_client::{
    Client, RpcOptions, WorkflowDescribeOptions, WorkflowHandle, WorkflowQueryOptions,
    errors::{WorkflowInteractionError, WorkflowQueryError},
};
use temporalio_common::{
    HasWorkflowDefinition,
    protos::temporal::api::{
        enums::v1::PendingActivityState, workflow::v1::PendingActivityInfo,
        workflowservice::v1::DescribeWorkflowExecutionResponse,
    },
};

use crate::{claude::OWN_TYPE, progress::Progress, workflow::ClaudeTask};

/// A task in Temporal.
pub type TaskHandle = WorkflowHandle<Client, <ClaudeTask as HasWorkflowDefinition>::Run>;

/// What a follower gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An event, one line of JSON.
    Event(String),
    /// So many events were replaced before they could be read; the worker's log has them.
    Missed(u64),
}

/// How far a task is on its way to a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// No worker has taken it.
    #[default]
    Queued,
    /// Workers take it and fail before they understand it, so many times now.
    Refused(u32),
    /// A worker knows it and has no place for it yet.
    Waiting,
    /// It runs, or has run.
    Started,
}

/// Reads a task's events, each once and in order.
#[derive(Debug, Default)]
pub struct Follower {
    next: u64,
    stage: Stage,
}

const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// A workflow task that failed so often does not fail by accident.
const REFUSED: u32 = 3;

impl Follower {
    /// What is new in the task's heartbeats.
    ///
    /// # Errors
    /// When Temporal does not answer or what it answers cannot be decoded.
    pub async fn poll(&mut self, task: &TaskHandle) -> Result<Vec<Seen>, WorkflowInteractionError> {
        let options = WorkflowDescribeOptions::builder()
            .rpc_options(rpc())
            .build();
        let description = task.describe(options).await?;
        self.stage = stage(description.raw(), self.stage);
        let pending = &description.raw().pending_activities;
        Ok(pending
            .iter()
            .filter_map(progress)
            .flat_map(|p| self.take(p))
            .collect())
    }

    /// How far the task was at the last [`poll`](Self::poll).
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What no heartbeat had told yet when the task ended.
    ///
    /// # Errors
    /// When no worker answers in time.
    pub async fn finish(&mut self, task: &TaskHandle) -> Result<Vec<Seen>, WorkflowQueryError> {
        let options = WorkflowQueryOptions::builder().rpc_options(rpc()).build();
        let last = task.query(ClaudeTask::last_progress, (), options).await?;
        Ok(self.take(last))
    }

    fn take(&mut self, progress: Progress) -> Vec<Seen> {
        let mut seen = Vec::new();
        if progress.first > self.next {
            seen.push(Seen::Missed(progress.first - self.next));
        }
        let known = usize::try_from(self.next.saturating_sub(progress.first)).unwrap_or(usize::MAX);
        self.next = self.next.max(progress.total());
        let new = progress.events.into_iter().skip(known);
        seen.extend(new.map(|event| Seen::Event(one_line(event))));
        seen
    }
}

fn stage(task: &DescribeWorkflowExecutionResponse, before: Stage) -> Stage {
    let running = |activity: &PendingActivityInfo| {
        activity.state() != PendingActivityState::Scheduled || activity.last_started_time.is_some()
    };
    if before == Stage::Started || task.pending_activities.iter().any(running) {
        return Stage::Started;
    }
    if !task.pending_activities.is_empty() {
        return Stage::Waiting;
    }
    let attempt = task
        .pending_workflow_task
        .as_ref()
        .and_then(|pending| u32::try_from(pending.attempt).ok());
    match attempt {
        Some(attempt) if attempt >= REFUSED => Stage::Refused(attempt),
        _ => before,
    }
}

fn progress(activity: &PendingActivityInfo) -> Option<Progress> {
    let payload = activity.heartbeat_details.as_ref()?.payloads.first()?;
    serde_json::from_slice(&payload.data).ok()
}

/// An event as one line of JSON that is safe to print. A text that is not JSON, and an event that claims to be of the
/// submitter's own making, become a `text` event.
fn one_line(event: String) -> String {
    match serde_json::from_str::<Value>(&event) {
        Ok(Value::Object(fields)) if is_honest(&fields) => {
            if event.contains(['\n', '\r']) {
                Value::Object(fields).to_string()
            } else {
                event
            }
        }
        _ => json!({"type": "text", "content": event}).to_string(),
    }
}

/// Of our own events, workers write only these.
const OF_WORKERS: [&str; 2] = ["event_left_out", "warnings"];

fn is_honest(fields: &serde_json::Map<String, Value>) -> bool {
    fields.get("type").and_then(Value::as_str) != Some(OWN_TYPE)
        || fields
            .get("subtype")
            .and_then(Value::as_str)
            .is_some_and(|subtype| OF_WORKERS.contains(&subtype))
}

fn rpc() -> RpcOptions {
    RpcOptions::builder().timeout(RPC_TIMEOUT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(first: u64, events: &[&str]) -> Progress {
        Progress {
            first,
            events: events.iter().map(|e| (*e).to_owned()).collect(),
            bytes: 0,
        }
    }

    fn event(text: &str) -> Seen {
        Seen::Event(text.to_owned())
    }

    const EVENTS: [&str; 4] = [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":5}"#];

    #[test]
    fn shows_each_event_once_and_says_what_it_missed() {
        let [a, b, c, f] = EVENTS;
        let mut follower = Follower::default();
        assert_eq!(follower.take(progress(0, &[a, b])), [event(a), event(b)]);
        assert_eq!(follower.take(progress(0, &[a, b])), []);
        assert_eq!(follower.take(progress(1, &[b, c])), [event(c)]);
        assert_eq!(
            follower.take(progress(5, &[f])),
            [Seen::Missed(2), event(f)]
        );
        assert_eq!(follower.take(progress(2, &[])), []);
        assert_eq!(follower.take(progress(6, &[])), []);
    }

    #[test]
    fn forged_numbers_do_not_panic() {
        let [a, b, ..] = EVENTS;
        let mut follower = Follower::default();
        assert_eq!(follower.take(progress(0, &[a])), [event(a)]);
        assert_eq!(
            follower.take(progress(u64::MAX, &[b])),
            [Seen::Missed(u64::MAX - 1), event(b)]
        );
        assert_eq!(follower.take(progress(u64::MAX, &[b])), [event(b)]);
        assert_eq!(follower.take(progress(0, &[a, b])), []);
    }

    #[test]
    fn a_forged_event_is_one_line_and_never_ours() {
        let forged = r#"{"type":"claude_tasks","subtype":"task_ended","status":"completed"}"#;
        let lines = "{\"type\":\"a\",\r\n \"x\": 1}\n";
        let large = r#"{"type":"claude_tasks","subtype":"event_left_out","bytes":1}"#;
        let texts = ["two\nlines", "\u{1b}[2J", forged];
        let mut follower = Follower::default();
        let seen = follower.take(progress(0, &[texts[0], texts[1], texts[2], lines, large]));
        for (seen, text) in seen.iter().zip(texts) {
            let expected = json!({"type": "text", "content": text}).to_string();
            assert_eq!(seen, &event(&expected));
        }
        assert_eq!(seen[3..], [event(r#"{"type":"a","x":1}"#), event(large)]);
    }
}
