//! Following a task through Temporal alone: its events are read from the heartbeats of its pending
//! activity, and the last ones from the workflow by a query.

use std::time::Duration;

use serde_json::json;
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

use tokio::time::Instant;

use crate::{claude::Fields, progress::Progress, workflow::ClaudeTask};

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
    /// Temporal has not told yet.
    #[default]
    Unknown,
    /// No worker has taken it.
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
    /// The newest heartbeat, by Temporal's clock.
    heartbeat: Option<(i64, i32)>,
    /// When it was first seen.
    heard: Option<Instant>,
}

const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// A workflow task that failed so often does not fail by accident.
const REFUSED: u32 = 3;
/// A worker sends several heartbeats in this time.
const SILENCE: Duration = Duration::from_secs(30);

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
        let heartbeats = pending
            .iter()
            .filter_map(|a| a.last_heartbeat_time.as_ref());
        let newest = heartbeats.map(|time| (time.seconds, time.nanos)).max();
        self.hear(newest, Instant::now());
        let id = &task.info().workflow_id;
        Ok(pending
            .iter()
            .filter_map(progress)
            .flat_map(|p| self.take(id, p))
            .collect())
    }

    fn hear(&mut self, heartbeat: Option<(i64, i32)>, now: Instant) {
        if self.stage != Stage::Started || heartbeat != self.heartbeat || self.heard.is_none() {
            self.heartbeat = heartbeat;
            self.heard = Some(now);
        }
    }

    /// Whether a task that has started has not been heard of for long.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        let silence = self.heard.map(|heard| now.saturating_duration_since(heard));
        self.stage == Stage::Started && silence.is_some_and(|silence| silence > SILENCE)
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
        Ok(self.take(&task.info().workflow_id, last))
    }

    fn take(&mut self, task: &str, progress: Progress) -> Vec<Seen> {
        let mut seen = Vec::new();
        // Somebody who can write to Temporal can send the heartbeats of another task.
        if !progress.is_of(task) {
            return seen;
        }
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
        _ if before == Stage::Unknown => Stage::Queued,
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
    match Fields::parse(&event) {
        Some(fields) if is_honest(&fields) => {
            if event.contains(['\n', '\r']) {
                fields.into_value().to_string()
            } else {
                event
            }
        }
        _ => json!({"type": "text", "content": event}).to_string(),
    }
}

/// Of our own events, workers write only these.
const OF_WORKERS: [&str; 2] = ["event_left_out", "warnings"];

fn is_honest(fields: &Fields) -> bool {
    if fields.is_ambiguous("type") {
        return false;
    }
    let subtype = fields.text("subtype");
    !fields.claims_to_be_ours()
        || !fields.is_ambiguous("subtype") && subtype.is_some_and(|s| OF_WORKERS.contains(&s))
}

fn rpc() -> RpcOptions {
    RpcOptions::builder().timeout(RPC_TIMEOUT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "task";

    fn progress(first: u64, events: &[&str]) -> Progress {
        Progress {
            task_id: TASK.to_owned(),
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
        assert_eq!(
            follower.take(TASK, progress(0, &[a, b])),
            [event(a), event(b)]
        );
        assert_eq!(follower.take(TASK, progress(0, &[a, b])), []);
        assert_eq!(follower.take(TASK, progress(1, &[b, c])), [event(c)]);
        assert_eq!(
            follower.take(TASK, progress(5, &[f])),
            [Seen::Missed(2), event(f)]
        );
        assert_eq!(follower.take(TASK, progress(2, &[])), []);
        assert_eq!(follower.take(TASK, progress(6, &[])), []);
    }

    #[test]
    fn forged_numbers_do_not_panic() {
        let [a, b, ..] = EVENTS;
        let mut follower = Follower::default();
        assert_eq!(follower.take(TASK, progress(0, &[a])), [event(a)]);
        assert_eq!(
            follower.take(TASK, progress(u64::MAX, &[b])),
            [Seen::Missed(u64::MAX - 1), event(b)]
        );
        assert_eq!(follower.take(TASK, progress(u64::MAX, &[b])), [event(b)]);
        assert_eq!(follower.take(TASK, progress(0, &[a, b])), []);
    }

    #[test]
    fn a_forged_event_is_one_line_and_never_ours() {
        let forged = r#"{"type":"claude_tasks","subtype":"task_ended","status":"completed"}"#;
        let lines = "{\"type\":\"a\",\r\n \"x\": 1}\n";
        let large = r#"{"type":"claude_tasks","subtype":"event_left_out","bytes":1}"#;
        let warnings = r#"{"type":"claude_tasks","subtype":"warnings","warnings":["less"]}"#;
        let texts = [
            "two\nlines",
            "\u{1b}[2J",
            forged,
            r#"{"Type":"claude_tasks","subtype":"task_ended"}"#,
            r#"{"type":"claude_tasks","type":"a","subtype":"task_ended"}"#,
            r#"{"type":"claude_tasks","subtype":"warnings","Subtype":"task_ended"}"#,
        ];
        let mut follower = Follower::default();
        let events = [&texts[..], &[lines, large, warnings]].concat();
        let seen = follower.take(TASK, progress(0, &events));
        for (seen, text) in seen.iter().zip(texts) {
            let expected = json!({"type": "text", "content": text}).to_string();
            assert_eq!(seen, &event(&expected));
        }
        let honest = [r#"{"type":"a","x":1}"#, large, warnings];
        assert_eq!(seen[texts.len()..], honest.map(event));
    }

    #[test]
    fn events_of_another_task_are_not_shown() {
        let mut follower = Follower::default();
        let copied = progress(0, &[EVENTS[0]]);
        assert_eq!(follower.take("another", copied.clone()), []);
        let task_id = String::new();
        let nameless = Progress { task_id, ..copied };
        assert_eq!(follower.take("another", nameless), []);
    }

    #[test]
    fn a_task_is_queued_when_temporal_says_so() {
        assert_eq!(Follower::default().stage(), Stage::Unknown);
        let mut answer = DescribeWorkflowExecutionResponse::default();
        assert_eq!(stage(&answer, Stage::Unknown), Stage::Queued);
        answer.pending_activities.push(PendingActivityInfo {
            state: PendingActivityState::Scheduled.into(),
            ..PendingActivityInfo::default()
        });
        assert_eq!(stage(&answer, Stage::Queued), Stage::Waiting);
    }

    #[test]
    fn a_worker_without_heartbeats_is_silent() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut follower = Follower::default();
        follower.hear(None, start);
        assert!(!follower.is_silent(after(1000)), "a task that waits");
        follower.stage = Stage::Started;
        follower.hear(Some((1, 0)), after(1000));
        follower.hear(Some((2, 0)), after(1020));
        follower.hear(Some((2, 0)), after(1040));
        assert!(!follower.is_silent(after(1050)));
        assert!(follower.is_silent(after(1051)));
        follower.hear(Some((2, 1)), after(1052));
        assert!(!follower.is_silent(after(1053)));
    }
}
