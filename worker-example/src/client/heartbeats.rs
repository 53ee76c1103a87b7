//! Reads a task's events from the heartbeats of its activity, and the last ones from the workflow by a query.

use std::time::Duration;

use temporalio_client::{
    Client, RpcOptions, WorkflowDescribeOptions, WorkflowHandle, WorkflowQueryOptions,
    errors::{WorkflowInteractionError, WorkflowQueryError},
};
use temporalio_common::protos::temporal::api::workflow::v1::PendingActivityInfo;
use tokio::time::Instant;

use super::{
    honest_event::one_line,
    stage::{Stage, attempt_problem, stage},
};
use crate::task::{LastProgress, Progress, TaskWorkflow};

/// A task's workflow in Temporal.
pub(super) type WorkflowOfTask = WorkflowHandle<Client, TaskWorkflow>;

/// The longest time for one call to Temporal.
const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a running task may be without a new heartbeat. A worker sends several in this time.
const SILENCE: Duration = Duration::from_secs(30);

/// What a heartbeat has told about the task's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// An event, one line of JSON.
    Event(String),
    /// This many events were replaced by newer ones before they could be read.
    Missed(u64),
}

/// Reads a task's events, each once and in order.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// The number of the next event.
    next: u64,
    stage: Stage,
    problem: Option<String>,
    /// The time of the newest heartbeat, by Temporal's clock.
    newest: Option<(i64, i32)>,
    /// When the newest heartbeat was first seen.
    seen_at: Option<Instant>,
}

impl Heartbeats {
    /// For a reader that has all events before this one.
    pub(super) fn after(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// The events that are new in the task's heartbeats.
    ///
    /// # Errors
    /// When Temporal does not answer, or its answer cannot be decoded.
    pub(super) async fn read(
        &mut self,
        task: &WorkflowOfTask,
    ) -> Result<Vec<Printed>, WorkflowInteractionError> {
        let options = WorkflowDescribeOptions::builder()
            .rpc_options(rpc_options())
            .build();
        let description = task.describe(options).await?;
        let id = &task.info().workflow_id;
        self.stage = stage(description.raw(), self.stage);
        self.problem = attempt_problem(description.raw(), id);
        let pending = &description.raw().pending_activities;
        let times = pending
            .iter()
            .filter_map(|a| a.last_heartbeat_time.as_ref());
        let newest = times.map(|time| (time.seconds, time.nanos)).max();
        self.note_heartbeat(newest, Instant::now());
        Ok(pending
            .iter()
            .filter_map(progress)
            .flat_map(|p| self.take(id, p))
            .collect())
    }

    /// The events that no heartbeat had carried when the task ended.
    ///
    /// # Errors
    /// When no worker answers in time.
    pub(super) async fn read_last(
        &mut self,
        task: &WorkflowOfTask,
    ) -> Result<Vec<Printed>, WorkflowQueryError> {
        let options = WorkflowQueryOptions::builder()
            .rpc_options(rpc_options())
            .build();
        let last = task.query(LastProgress, (), options).await?;
        Ok(self.take(&task.info().workflow_id, last))
    }

    /// How far the task was at the last [`read`](Self::read).
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Why the last attempt failed before the task began, if the worker has told it.
    pub(super) fn attempt_problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether a running task has had no new heartbeat for long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let silence = self.seen_at.map(|at| now.saturating_duration_since(at));
        self.stage == Stage::Running && silence.is_some_and(|silence| silence > SILENCE)
    }

    fn note_heartbeat(&mut self, heartbeat: Option<(i64, i32)>, now: Instant) {
        if self.stage != Stage::Running || heartbeat != self.newest || self.seen_at.is_none() {
            self.newest = heartbeat;
            self.seen_at = Some(now);
        }
    }

    fn take(&mut self, task: &str, progress: Progress) -> Vec<Printed> {
        let mut printed = Vec::new();
        // An attacker who can write to Temporal can send the heartbeats of another task.
        if !progress.is_of(task) {
            return printed;
        }
        if progress.first > self.next {
            printed.push(Printed::Missed(progress.first - self.next));
        }
        let known = usize::try_from(self.next.saturating_sub(progress.first)).unwrap_or(usize::MAX);
        self.next = self.next.max(progress.total());
        let new = progress.events.into_iter().skip(known);
        printed.extend(new.map(|event| Printed::Event(one_line(event))));
        printed
    }
}

/// What the newest heartbeat of an activity tells. `None` if it cannot be read, for example without the key.
pub(super) fn progress(activity: &PendingActivityInfo) -> Option<Progress> {
    let payload = activity.heartbeat_details.as_ref()?.payloads.first()?;
    serde_json::from_slice(&payload.data).ok()
}

pub(super) fn rpc_options() -> RpcOptions {
    RpcOptions::builder().timeout(RPC_TIMEOUT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "task";

    fn progress(first: u64, events: &[&str]) -> Progress {
        let events = events.iter().map(|e| (*e).to_owned()).collect();
        Progress::new(&TASK.parse().unwrap(), first, events, 0)
    }

    fn event(text: &str) -> Printed {
        Printed::Event(text.to_owned())
    }

    const EVENTS: [&str; 4] = [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":5}"#];

    #[test]
    fn shows_each_event_once_and_says_what_it_missed() {
        let [a, b, c, f] = EVENTS;
        let mut heartbeats = Heartbeats::default();
        assert_eq!(
            heartbeats.take(TASK, progress(0, &[a, b])),
            [event(a), event(b)]
        );
        assert_eq!(heartbeats.take(TASK, progress(0, &[a, b])), []);
        assert_eq!(heartbeats.take(TASK, progress(1, &[b, c])), [event(c)]);
        assert_eq!(
            heartbeats.take(TASK, progress(5, &[f])),
            [Printed::Missed(2), event(f)]
        );
        assert_eq!(heartbeats.take(TASK, progress(2, &[])), []);
        assert_eq!(heartbeats.take(TASK, progress(6, &[])), []);
    }

    #[test]
    fn forged_numbers_do_not_panic() {
        let [a, b, ..] = EVENTS;
        let mut heartbeats = Heartbeats::default();
        assert_eq!(heartbeats.take(TASK, progress(0, &[a])), [event(a)]);
        assert_eq!(
            heartbeats.take(TASK, progress(u64::MAX, &[b])),
            [Printed::Missed(u64::MAX - 1), event(b)]
        );
        assert_eq!(heartbeats.take(TASK, progress(u64::MAX, &[b])), [event(b)]);
        assert_eq!(heartbeats.take(TASK, progress(0, &[a, b])), []);
    }

    #[test]
    fn every_event_is_made_honest() {
        let mut heartbeats = Heartbeats::default();
        let text = crate::task::text_event("not JSON");
        assert_eq!(
            heartbeats.take(TASK, progress(0, &["not JSON"])),
            [event(&text)]
        );
    }

    #[test]
    fn events_of_another_task_are_not_shown() {
        let mut heartbeats = Heartbeats::default();
        let copied = progress(0, &[EVENTS[0]]);
        assert_eq!(heartbeats.take("another", copied), []);
        assert_eq!(heartbeats.take("another", Progress::default()), []);
    }

    #[test]
    fn a_worker_without_heartbeats_is_silent() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut heartbeats = Heartbeats::default();
        heartbeats.note_heartbeat(None, start);
        assert!(!heartbeats.is_silent(after(1000)), "a task that waits");
        heartbeats.stage = Stage::Running;
        heartbeats.note_heartbeat(Some((1, 0)), after(1000));
        heartbeats.note_heartbeat(Some((2, 0)), after(1020));
        heartbeats.note_heartbeat(Some((2, 0)), after(1040));
        assert!(!heartbeats.is_silent(after(1050)));
        assert!(heartbeats.is_silent(after(1051)));
        heartbeats.note_heartbeat(Some((2, 1)), after(1052));
        assert!(!heartbeats.is_silent(after(1053)));
    }
}
