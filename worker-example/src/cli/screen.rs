//! What the caller of `submit` and `follow` gets to see: words for people, or one JSON object a line.

use serde_json::json;
use temporal_kms_codec_service::terminal;
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_common::error::IncomingError;

use super::{Outcome, SubmitError, lost};
use crate::{claude::OWN_TYPE, follow::Seen, outcome::TaskResult, print, render, task_id::TaskId};

/// Prints a task's way. Claude's words and our own events go to standard output, notes to standard error.
pub(crate) struct Screen {
    json: bool,
    /// What Claude said last, as far as it was shown.
    said: Option<String>,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, said: None }
    }

    /// Temporal has the task.
    pub(super) fn submitted(&self, task: &TaskId, detached: bool) {
        if detached {
            print::note(&format!(
                "task {task} submitted. Follow it with `claude-tasks follow {task}`, end it with `claude-tasks cancel \
                 {task}`"
            ));
        }
        if self.json {
            let line = json!({"type": OWN_TYPE, "subtype": "task_submitted", "taskId": task});
            print::line(&line.to_string());
        } else if detached {
            print::line(task.as_str());
        } else {
            print::note(&format!("task {task} submitted"));
        }
    }

    pub(super) fn seen(&mut self, seen: &[Seen]) {
        for seen in seen {
            match (self.json, seen) {
                (true, Seen::Event(event)) => print::line(&terminal::json(event)),
                (true, Seen::Missed(count)) => {
                    let line =
                        json!({"type": OWN_TYPE, "subtype": "events_missed", "count": count});
                    print::line(&line.to_string());
                }
                (false, seen) => {
                    let Some(shown) = render::seen(seen) else {
                        continue;
                    };
                    print::line(&shown.text);
                    self.said = shown.said.or(self.said.take());
                }
            }
        }
    }

    /// The task has ended.
    ///
    /// # Errors
    /// When its end is not known.
    pub(super) fn ended(
        &self,
        task: &TaskId,
        ended: Result<TaskResult, WorkflowGetResultError>,
    ) -> Result<Outcome, SubmitError> {
        let end = End::of(task, ended)?;
        if self.json {
            let line = json!({"type": OWN_TYPE, "subtype": "task_ended", "taskId": task,
                "status": end.status(), "error": end.problem, "result": end.result});
            print::line(&terminal::json(&line.to_string()));
        } else {
            self.show(task, &end);
        }
        Ok(end.outcome)
    }

    fn show(&self, task: &TaskId, end: &End) {
        if let Some(answer) = end.answer().filter(|answer| !self.has_said(answer, end)) {
            print::line(&terminal::lines(answer));
        }
        end.note_the_cut();
        if let Some(problem) = &end.problem {
            print::note(&terminal::lines(problem));
        }
        let facts = end.result.as_ref().map(render::summary);
        let facts = facts.map(|facts| format!(": {facts}")).unwrap_or_default();
        print::note(&format!("task {task} {}{facts}", end.status()));
    }

    /// An answer that was too large for an event, or that was missed, is still to be shown.
    fn has_said(&self, answer: &str, end: &End) -> bool {
        let said = |text: &str| text.trim() == answer.trim();
        self.said.as_deref().is_some_and(said)
            || end.problem.as_ref().is_some_and(|p| p.contains(answer))
    }
}

/// How a task ended.
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) result: Option<TaskResult>,
    pub(crate) problem: Option<String>,
}

impl End {
    /// # Errors
    /// When Temporal cannot tell, or tells it in a form that cannot be decoded.
    pub(crate) fn of(
        task: &TaskId,
        ended: Result<TaskResult, WorkflowGetResultError>,
    ) -> Result<Self, SubmitError> {
        let (outcome, result, problem) = match ended {
            Ok(result) if is_of(task, &result) => (Outcome::Completed, Some(result), None),
            Ok(_) => return Err(SubmitError::Foreign(task.clone())),
            Err(WorkflowGetResultError::Failed(error)) => {
                let (result, problem) = failed(task, &error);
                (Outcome::Failed, result, Some(problem))
            }
            Err(WorkflowGetResultError::Cancelled { details }) => (
                Outcome::Cancelled,
                details.deserialize().ok().filter(|r| is_of(task, r)),
                Some("the task was cancelled".to_owned()),
            ),
            Err(WorkflowGetResultError::TimedOut) => (
                Outcome::Failed,
                None,
                Some(
                    "the task's time in Temporal is over: no worker took it, or none finished it"
                        .to_owned(),
                ),
            ),
            Err(WorkflowGetResultError::Terminated { .. }) => (
                Outcome::Failed,
                None,
                Some("somebody terminated the task in Temporal".to_owned()),
            ),
            Err(WorkflowGetResultError::NotFound(_)) => {
                return Err(SubmitError::Unknown(task.clone()));
            }
            Err(error) => return Err(lost(task, &error)),
        };
        Ok(Self {
            outcome,
            result,
            problem,
        })
    }

    pub(crate) fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Completed => "completed",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed | Outcome::Left => "failed",
        }
    }

    /// Says where the rest of an answer is that was too large for Temporal.
    pub(crate) fn note_the_cut(&self) {
        let Some(result) = &self.result else { return };
        let cut = result
            .result
            .as_ref()
            .and_then(|facts| facts.cut_from_bytes);
        if let Some(bytes) = cut {
            print::note(&terminal::line(&format!(
                "the answer has {bytes} bytes, too many for Temporal: this is its beginning. The log has all of it: \
                 {} at the worker",
                result.logs_path
            )));
        }
    }

    /// What Claude answered; its beginning where it is larger than Temporal takes.
    pub(crate) fn answer(&self) -> Option<&str> {
        let facts = self.result.as_ref()?.result.as_ref()?;
        facts.text.as_deref().filter(|text| !text.trim().is_empty())
    }
}

fn is_of(task: &TaskId, result: &TaskResult) -> bool {
    result.task_id == task.as_str()
}

/// The details of a failure, and why the task failed. Nothing else of a failure is known to be of this task: its message
/// is encrypted apart and could be copied from another.
fn failed(task: &TaskId, error: &IncomingError) -> (Option<TaskResult>, String) {
    let details: Option<TaskResult> = match error {
        IncomingError::Application(failure) => failure.details().ok().flatten(),
        _ => None,
    };
    let mut details = details.filter(|result| is_of(task, result));
    let problem = details.as_mut().and_then(|result| result.problem.take());
    let unknown = "the task failed, and what Temporal has about it is not of this task. Somebody who can write to \
        Temporal replaced it";
    (details, problem.unwrap_or_else(|| unknown.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_another_task_is_refused() {
        let task: TaskId = "task".parse().unwrap();
        let result = |id| TaskResult::new(id, None, None);
        let end = End::of(&task, Ok(result("task"))).unwrap();
        assert_eq!(end.outcome, Outcome::Completed);
        let refused = End::of(&task, Ok(result("another"))).err().unwrap();
        assert!(matches!(refused, SubmitError::Foreign(_)), "{refused}");
    }
}
