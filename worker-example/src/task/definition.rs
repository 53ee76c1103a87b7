//! The workflow of a task as clients name it: the types of its input, its result, its queries and its signals.

use temporalio_common::{
    HasWorkflowDefinition, QueryDefinition, SignalDefinition, WorkflowDefinition,
};

use super::{
    follower::Follower, outcome::TaskResult, progress::Progress, request::TaskInput,
    step::TaskState,
};

/// The name of the workflow that delivers the webhook of a task.
pub(crate) const WEBHOOK_WORKFLOW: &str = "ClaudeTaskWebhook";

/// The workflow `ClaudeTask`. Its id is the task's id.
#[derive(Clone, Copy, Debug)]
pub struct TaskWorkflow;

impl WorkflowDefinition for TaskWorkflow {
    type Input = TaskInput;
    type Output = TaskResult;

    fn name(&self) -> &'static str {
        "ClaudeTask"
    }
}

impl HasWorkflowDefinition for TaskWorkflow {
    type Run = Self;
}

/// The query `last_progress`: the newest events of a task that has ended.
#[derive(Clone, Copy, Debug)]
pub struct LastProgress;

impl QueryDefinition for LastProgress {
    type Workflow = TaskWorkflow;
    type Input = ();
    type Output = Progress;

    fn name(&self) -> &'static str {
        "last_progress"
    }
}

/// The query `state`: how far a task is.
#[derive(Clone, Copy, Debug)]
pub struct State;

impl QueryDefinition for State {
    type Workflow = TaskWorkflow;
    type Input = ();
    type Output = TaskState;

    fn name(&self) -> &'static str {
        "state"
    }
}

/// The signal `follower_joined`: a connection follows the task that another request has started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowerJoined;

impl SignalDefinition for FollowerJoined {
    type Workflow = TaskWorkflow;
    type Input = Follower;

    fn name(&self) -> &'static str {
        "follower_joined"
    }
}

/// The signal `follower_left`: a connection that followed the task was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowerLeft;

impl SignalDefinition for FollowerLeft {
    type Workflow = TaskWorkflow;
    type Input = Follower;

    fn name(&self) -> &'static str {
        "follower_left"
    }
}
