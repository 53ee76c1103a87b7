//! The workflow of a task as clients name it: the types of its input, its result and its query.

use temporalio_common::{HasWorkflowDefinition, QueryDefinition, WorkflowDefinition};

use super::{outcome::TaskResult, progress::Progress, request::TaskInput, step::TaskState};

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
