//! The workers of a task queue, as Temporal sees them.

use std::time::{Duration, SystemTime};

use temporal_kms::support::shell_word;
use temporalio_client::{
    Client, NamespacedClient as _,
    grpc::WorkflowService,
    tonic::{IntoRequest as _, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType,
    taskqueue::v1::{PollerInfo, TaskQueue},
    workflowservice::v1::DescribeTaskQueueRequest,
};

/// How long after its last poll a worker counts as running. A worker polls at least once a minute. Temporal lists a lost
/// worker for some minutes more.
const RECENT: Duration = Duration::from_secs(90);

/// Whether the worker of this identity polls the queue.
///
/// # Errors
/// When Temporal does not answer.
pub(crate) async fn is_polled_by(
    client: &Client,
    queue: &str,
    kind: TaskQueueType,
    identity: &str,
) -> Result<bool, Status> {
    let pollers = pollers(client, queue, kind).await?;
    Ok(pollers.iter().any(|poller| poller.identity == identity))
}

/// Whether a worker polls the queue for workflows.
///
/// # Errors
/// When Temporal does not answer.
pub(crate) async fn has_workers(client: &Client, queue: &str) -> Result<bool, Status> {
    let now = SystemTime::now();
    let pollers = pollers(client, queue, TaskQueueType::Workflow).await?;
    Ok(pollers.iter().any(|poller| is_recent(poller, now)))
}

fn is_recent(poller: &PollerInfo, now: SystemTime) -> bool {
    let seen = poller
        .last_access_time
        .and_then(|time| SystemTime::try_from(time).ok());
    // A server whose clock is ahead of ours must not hide a worker.
    seen.is_none_or(|seen| now.duration_since(seen).is_ok_and(|age| age < RECENT) || seen > now)
}

async fn pollers(
    client: &Client,
    queue: &str,
    kind: TaskQueueType,
) -> Result<Vec<PollerInfo>, Status> {
    let request = DescribeTaskQueueRequest {
        namespace: client.namespace(),
        task_queue: Some(TaskQueue {
            name: queue.to_owned(),
            ..TaskQueue::default()
        }),
        task_queue_type: kind.into(),
        ..DescribeTaskQueueRequest::default()
    };
    let mut client = client.clone();
    let answer = WorkflowService::describe_task_queue(&mut client, request.into_request()).await?;
    Ok(answer.into_inner().pollers)
}

/// The message when no worker polls a task queue.
pub(crate) fn no_worker(queue: &str) -> String {
    format!(
        "no worker polls task queue {queue}; start one: {}",
        start_worker(queue)
    )
}

/// The command that starts a worker of a task queue.
pub(crate) fn start_worker(queue: &str) -> String {
    format!("claude-tasks worker --task-queue {}", shell_word(queue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_starts_a_worker_can_be_pasted_into_a_shell() {
        for (queue, expected) in [
            ("claude-tasks", "--task-queue claude-tasks"),
            ("night; rm x", "--task-queue 'night; rm x'"),
        ] {
            let told = no_worker(queue);
            assert!(told.ends_with(expected), "{told}");
        }
    }
}
