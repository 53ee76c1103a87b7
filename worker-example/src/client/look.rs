//! What Temporal knows of a task, without its events and its result.

use std::time::SystemTime;

use temporalio_client::{WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus};
use temporalio_common::{Memo, WorkflowDefinition as _};

use super::{
    owner::{MEMO, Owner},
    progress::TaskProgress,
    status::TaskStatus,
};
use crate::task::TaskWorkflow;

/// What Temporal knows of a task.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whether it is a task at all. Other workflows can have the same namespace.
    pub(crate) is_task: bool,
    pub(crate) status: TaskStatus,
    /// `None` if nobody is known, or the memo cannot be read.
    pub(crate) owner: Option<Owner>,
    pub(crate) created: Option<SystemTime>,
    pub(crate) closed: Option<SystemTime>,
    /// How far it is. A list does not tell it.
    pub(crate) progress: TaskProgress,
    /// Whether Temporal was asked to cancel it. A list does not tell it.
    pub(crate) is_cancel_requested: bool,
}

impl Look {
    pub(super) fn at(description: &WorkflowExecutionDescription) -> Self {
        let more = description.raw().workflow_extended_info.as_ref();
        Self {
            is_task: description.workflow_type() == TaskWorkflow.name(),
            status: TaskStatus::of(description),
            owner: owner(&description.memo(), description.id()),
            created: description.start_time(),
            closed: description.close_time(),
            progress: TaskProgress::of(description.raw(), description.id()),
            is_cancel_requested: more.is_some_and(|more| more.cancel_requested),
        }
    }

    /// A task in a list. An open one counts as running: the list does not say more.
    pub(super) fn at_listed(execution: &WorkflowExecution) -> Self {
        let status = match execution.status() {
            WorkflowExecutionStatus::Running => TaskStatus::Running,
            status => TaskStatus::of_ended(status),
        };
        Self {
            is_task: execution.workflow_type() == TaskWorkflow.name(),
            status,
            owner: owner(&execution.memo(), execution.id()),
            created: execution.start_time(),
            closed: execution.close_time(),
            progress: TaskProgress::default(),
            is_cancel_requested: false,
        }
    }

    /// The name of the caller that owns it.
    pub(crate) fn owner_name(&self) -> Option<&str> {
        self.owner.as_ref()?.caller()
    }
}

fn owner(memo: &Memo, task: &str) -> Option<Owner> {
    let owner: Option<Owner> = memo.get(MEMO).ok().flatten();
    owner.filter(|owner| owner.is_of(task))
}
