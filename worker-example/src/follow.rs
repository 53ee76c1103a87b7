//! Following a task through Temporal alone: its events are read from the heartbeats of its pending
//! activity, and the last ones from the workflow by a query.

use crate::{progress::Progress, workflow::ClaudeTask};
use std::time::Duration;
use temporalio_client::{
    Client, RpcOptions, WorkflowDescribeOptions, WorkflowHandle, WorkflowQueryOptions,
};
use temporalio_common::{
    HasWorkflowDefinition, protos::temporal::api::workflow::v1::PendingActivityInfo,
};

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

/// Reads a task's events, each once and in order.
#[derive(Debug, Default)]
pub struct Follower {
    next: u64,
}

const RPC_TIMEOUT: Duration = Duration::from_secs(10);

impl Follower {
    /// What is new in the task's heartbeats.
    ///
    /// # Errors
    /// When Temporal does not answer or what it answers cannot be decoded.
    pub async fn poll(
        &mut self,
        task: &TaskHandle,
    ) -> Result<Vec<Seen>, temporalio_client::errors::WorkflowInteractionError> {
        let options = WorkflowDescribeOptions::builder()
            .rpc_options(rpc())
            .build();
        let description = task.describe(options).await?;
        let pending = &description.raw().pending_activities;
        Ok(pending
            .iter()
            .filter_map(progress)
            .flat_map(|p| self.take(p))
            .collect())
    }

    /// What no heartbeat had told yet when the task ended.
    ///
    /// # Errors
    /// When no worker answers in time.
    pub async fn finish(
        &mut self,
        task: &TaskHandle,
    ) -> Result<Vec<Seen>, temporalio_client::errors::WorkflowQueryError> {
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
        seen.extend(progress.events.into_iter().skip(known).map(Seen::Event));
        seen
    }
}

fn progress(activity: &PendingActivityInfo) -> Option<Progress> {
    let payload = activity.heartbeat_details.as_ref()?.payloads.first()?;
    serde_json::from_slice(&payload.data).ok()
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

    #[test]
    fn shows_each_event_once_and_says_what_it_missed() {
        let mut follower = Follower::default();
        assert_eq!(
            follower.take(progress(0, &["a", "b"])),
            [event("a"), event("b")]
        );
        assert_eq!(follower.take(progress(0, &["a", "b"])), []);
        assert_eq!(follower.take(progress(1, &["b", "c"])), [event("c")]);
        assert_eq!(
            follower.take(progress(5, &["f"])),
            [Seen::Missed(2), event("f")]
        );
        assert_eq!(follower.take(progress(2, &[])), []);
        assert_eq!(follower.take(progress(6, &[])), []);
    }
}
