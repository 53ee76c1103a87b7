//! Checks whose request it is: its secrets, its task, its signature, and its webhook.

use temporalio_common::error::ApplicationFailure;

use super::TaskRunner;
use crate::{
    task::{FailureKind, RequestRules, TaskId, TaskIdError, TaskInput, TaskRequest},
    webhook::{Approved, SECRET},
    worker::failures::{self, FOR_ANOTHER_TASK},
};

impl TaskRunner {
    /// Opens the secrets of a request, and checks the request and its signature.
    pub(super) async fn open(
        &self,
        id: &str,
        input: TaskInput,
    ) -> Result<(TaskId, TaskRequest), ApplicationFailure> {
        let (task, input) = self.genuine(id, input).await?;
        let rules = RequestRules::default().with_file_repositories(self.git.files_allowed);
        let request = input.into_request(rules).map_err(|problem| {
            failures::of_session(id, FailureKind::InvalidRequest, problem.to_string(), None)
        })?;
        Ok((task, request))
    }

    /// Approves the webhook of a task that was not prepared. The request can be one that cannot be run, but it is this task's,
    /// and it is signed as the operator wants.
    ///
    /// # Errors
    /// The failure of the activity.
    pub(in crate::worker) async fn approve_callback(
        &self,
        id: &str,
        input: TaskInput,
    ) -> Result<String, ApplicationFailure> {
        let (_, input) = self.genuine(id, input).await?;
        self.approval(id, input.callback_url()).ok_or_else(|| {
            let problem = format!("the worker has no secret that signs webhooks. Set {SECRET}");
            failures::of_session(id, FailureKind::CannotRun, problem, None)
        })
    }

    /// The approval of a webhook whose request was checked. `None` without a receiver, or without a secret.
    pub(in crate::worker) fn approval(&self, task: &str, callback: Option<&str>) -> Option<String> {
        let approved = Approved {
            namespace: &self.namespace,
            task,
            url: callback?,
        };
        Some(self.webhooks.as_ref()?.secrets().approve(approved))
    }

    /// Opens the secrets of a request, and checks that it is this task's and is signed as the operator wants.
    async fn genuine(
        &self,
        id: &str,
        mut input: TaskInput,
    ) -> Result<(TaskId, TaskInput), ApplicationFailure> {
        let invalid =
            |problem: String| failures::of_session(id, FailureKind::InvalidRequest, problem, None);
        let task = task_of(id, &input).map_err(invalid)?;
        if let Some(sealed) = input.take_sealed().map_err(|e| invalid(e.to_string()))? {
            let cannot_open = |is_final: bool, problem: String| {
                let kind = FailureKind::CannotRun;
                if is_final {
                    failures::of_session(id, kind, problem, None)
                } else {
                    failures::of_attempt(id, kind, problem)
                }
            };
            let vault = self.vault.as_ref().ok_or_else(|| {
                let problem = "the secrets of the request are in a store, and this worker has no store. Start it with the \
                    --store of the program that submitted the task";
                tracing::warn!(task = %task, problem, "cannot begin a task");
                cannot_open(false, problem.to_owned())
            })?;
            let secrets = vault
                .secrets(&sealed, &task)
                .await
                .map_err(|error| cannot_open(error.is_final(), error.to_string()))?;
            input
                .put_secrets(&secrets)
                .map_err(|e| invalid(e.to_string()))?;
        }
        self.request_keys
            .check(&mut input, &self.namespace)
            .map_err(|problem| invalid(problem.to_owned()))?;
        Ok((task, input))
    }
}

/// The task's id, if the request belongs to this task. The workflow checks this, too. But an attacker's workflow of any type can
/// schedule the activity with a copied request.
fn task_of(id: &str, input: &TaskInput) -> Result<TaskId, String> {
    let task: TaskId = id.parse().map_err(|e: TaskIdError| e.to_string())?;
    if input.task_id() != Some(id) {
        return Err(FOR_ANOTHER_TASK.to_owned());
    }
    Ok(task)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copied_request_is_not_for_this_task() {
        let input = || {
            let request = json!({"prompt": "p", "anthropicApiKey": "k"});
            let request = TaskRequest::from_value(request).unwrap();
            TaskInput::new(request, &"victim".parse().unwrap())
        };
        assert_eq!(task_of("victim", &input()).unwrap().as_str(), "victim");
        for (id, problem) in [
            ("attack", "does not belong to this task"),
            ("", "taskId must be"),
        ] {
            let refused = task_of(id, &input()).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}
