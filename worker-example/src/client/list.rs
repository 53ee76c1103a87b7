//! Lists and counts tasks.

use futures::StreamExt as _;
use temporalio_client::{WorkflowCountOptions, WorkflowExecutionStatus, WorkflowListOptions};
use temporalio_common::WorkflowDefinition as _;

use super::{error::ClientError, look::Look, task_client::TaskClient};
use crate::task::{TaskId, TaskWorkflow};

/// How many tasks are looked at for one list.
const MAX_LOOKED_AT: usize = 2000;

/// How many tasks there are. The numbers are approximate, as those of Temporal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    pub(crate) running: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
}

impl TaskCounts {
    pub(crate) fn total(self) -> usize {
        self.running + self.completed + self.failed + self.cancelled
    }
}

impl TaskClient {
    /// The newest tasks of the task queue that `accept` accepts.
    ///
    /// # Errors
    /// When Temporal or the key service does not answer.
    pub(crate) async fn list(
        &self,
        most: usize,
        accept: impl Fn(&Look) -> bool,
    ) -> Result<Vec<(TaskId, Look)>, ClientError> {
        self.list_of(self.query(), most, accept).await
    }

    /// As [`list`](Self::list), of the tasks that have not ended.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub(crate) async fn list_open(
        &self,
        most: usize,
        accept: impl Fn(&Look) -> bool,
    ) -> Result<Vec<(TaskId, Look)>, ClientError> {
        self.list_of(self.query_of_status("Running"), most, accept)
            .await
    }

    async fn list_of(
        &self,
        query: String,
        most: usize,
        accept: impl Fn(&Look) -> bool,
    ) -> Result<Vec<(TaskId, Look)>, ClientError> {
        let options = WorkflowListOptions::builder().limit(MAX_LOOKED_AT).build();
        let mut found = Vec::new();
        let mut listed = self.temporal().list_workflows(query, options);
        while let Some(execution) = listed.next().await {
            let execution = execution.map_err(|error| self.cannot_list(&error))?;
            let look = Look::at_listed(&execution);
            if let Ok(id) = execution.id().parse()
                && accept(&look)
            {
                found.push((id, look));
                if found.len() >= most {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// How many tasks the task queue has and had, within the time that Temporal keeps them.
    ///
    /// # Errors
    /// When Temporal does not answer.
    pub(crate) async fn count(&self) -> Result<TaskCounts, ClientError> {
        use WorkflowExecutionStatus as Status;
        let mut counts = TaskCounts::default();
        for status in [
            Status::Running,
            Status::Completed,
            Status::Failed,
            Status::Canceled,
            Status::Terminated,
            Status::TimedOut,
        ] {
            let name = match status {
                Status::Running => "Running",
                Status::Completed => "Completed",
                Status::Canceled => "Canceled",
                Status::Terminated => "Terminated",
                Status::TimedOut => "TimedOut",
                _ => "Failed",
            };
            let counted = self
                .temporal()
                .count_workflows(self.query_of_status(name), WorkflowCountOptions::default())
                .await
                .map_err(|error| self.cannot_list(&error))?
                .count();
            match status {
                Status::Running => counts.running += counted,
                Status::Completed => counts.completed += counted,
                Status::Canceled => counts.cancelled += counted,
                _ => counts.failed += counted,
            }
        }
        Ok(counts)
    }

    /// The tasks of this task queue with this status, for Temporal.
    fn query_of_status(&self, name: &str) -> String {
        format!("{} AND ExecutionStatus = '{name}'", self.query())
    }

    /// The tasks of this task queue, for Temporal.
    fn query(&self) -> String {
        // A quote in a name would end the text.
        let queue = self.task_queue().replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "WorkflowType = '{}' AND TaskQueue = '{queue}'",
            TaskWorkflow.name()
        )
    }
}
