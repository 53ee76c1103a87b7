//! Replays a task's history with today's workflow.

use claude_tasks::ClaudeTask;
use temporalio_client::WorkflowHistory;
use temporalio_common::data_converters::DataConverter;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

/// Asserts that today's workflow makes the same decisions as the history has.
pub(crate) async fn replay(converter: DataConverter, history: WorkflowHistory) {
    let options = WorkflowReplayerOptions::new()
        .namespace("default")
        .task_queue("replay")
        .data_converter(converter)
        .register_workflow::<ClaudeTask>()
        .unwrap()
        .build();
    let replayer = WorkflowReplayer::new(options).unwrap();
    let outcome = replayer.replay_workflow(history).await;
    outcome.expect("the workflow decides as it did");
}
