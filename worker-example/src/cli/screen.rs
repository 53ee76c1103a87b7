//! What `submit` and `follow` print: text for people, or one JSON object in each line.

use serde_json::{Value, json};
use temporal_kms_codec_service::terminal;

use super::render;
use crate::{
    client::{EndKind, Stage, TaskEnd, TaskEvent, no_worker, start_worker},
    print,
    task::{OWN_TYPE, TaskId},
};

/// Prints the events of a task. Claude's text and JSON go to standard output, and notes to standard error.
pub(super) struct Screen {
    task: TaskId,
    task_queue: String,
    json: bool,
    /// Claude's last words that were shown.
    said: Option<String>,
}

impl Screen {
    pub(super) fn new(task: TaskId, task_queue: &str, json: bool) -> Self {
        Self {
            task,
            task_queue: task_queue.to_owned(),
            json,
            said: None,
        }
    }

    /// Tells that Temporal has the task.
    pub(super) fn submitted(&self, detached: bool) {
        let task = &self.task;
        if detached {
            print::note(&format!(
                "task {task} submitted. Follow it with `claude-tasks follow {task}`. Cancel it with `claude-tasks cancel \
                 {task}`"
            ));
        }
        if self.json {
            own_line(json!({"subtype": "task_submitted", "taskId": task}));
        } else if detached {
            print::line(task.as_str());
        } else {
            print::note(&format!("task {task} submitted"));
        }
    }

    /// Prints an event.
    pub(super) fn show(&mut self, event: &TaskEvent) {
        let task = &self.task;
        match event {
            TaskEvent::Printed(json) if self.json => print::line(&terminal::json(json)),
            TaskEvent::Printed(json) => {
                if let Some(shown) = render::printed(json) {
                    print::line(&shown.text);
                    self.said = shown.said.or(self.said.take());
                }
            }
            TaskEvent::Missed(count) if self.json => {
                own_line(json!({"subtype": "events_missed", "count": count}));
            }
            TaskEvent::Missed(count) => print::line(&render::missed(*count)),
            TaskEvent::Stage(stage) => self.show_stage(*stage),
            TaskEvent::AttemptFailed { attempts, problem } => {
                let problem = problem.as_deref().unwrap_or("see the worker's log");
                print::warning(&format!(
                    "attempt {attempts} to begin task {task} failed: {problem}. Temporal tries again"
                ));
            }
            TaskEvent::NoWorker => print::warning(&no_worker(&self.task_queue)),
            TaskEvent::WorkerLost => print::warning(&format!(
                "the worker of task {task} is lost, and no other worker polls task queue {}. The task fails as soon as one \
                 does: {}",
                self.task_queue,
                start_worker(&self.task_queue)
            )),
            TaskEvent::Unreadable(problem) => {
                print::warning(&format!("cannot read the events of task {task}: {problem}"));
            }
            TaskEvent::Ended(end) => self.show_end(end),
        }
    }

    fn show_stage(&self, stage: Stage) {
        let task = &self.task;
        match stage {
            Stage::WaitingForPlace => print::note(&format!(
                "task {task} waits: the workers run as many tasks as they may (--max-tasks)"
            )),
            Stage::Running => print::note(&format!("task {task} started")),
            Stage::Unreadable { attempts } => print::warning(&format!(
                "a worker failed {attempts} times to read task {task}. Does it have the key with which the task was \
                 submitted? Compare TEMPORAL_CODEC_KEY and --keyring of both sides, and see the worker's log"
            )),
            Stage::Unknown | Stage::Queued | Stage::Retrying { .. } => {}
        }
    }

    fn show_end(&self, end: &TaskEnd) {
        let task = &self.task;
        if self.json {
            return own_line(json!({"subtype": "task_ended", "taskId": task,
                "status": end.kind().as_str(), "error": end.problem(), "result": end.result()}));
        }
        if let Some(answer) = end.answer().filter(|answer| !self.has_shown(answer, end)) {
            print::line(&terminal::lines(answer));
        }
        note_cut(end);
        note_failure(end);
        let facts = end.result().map(render::summary);
        let facts = facts.map(|facts| format!(": {facts}")).unwrap_or_default();
        print::note(&format!("task {task} {}{facts}", end.kind().as_str()));
    }

    /// Whether the answer was shown already. It was not if it was too large for an event, or its event was missed.
    fn has_shown(&self, answer: &str, end: &TaskEnd) -> bool {
        let is_answer = |text: &str| text.trim() == answer.trim();
        self.said.as_deref().is_some_and(is_answer)
            || end.problem().is_some_and(|p| p.contains(answer))
    }
}

/// Notes where the whole answer is, if it is too large for Temporal.
pub(super) fn note_cut(end: &TaskEnd) {
    if let (Some(bytes), Some(result)) = (end.cut_from_bytes(), end.result()) {
        print::warning(&terminal::line(&format!(
            "the answer has {bytes} bytes, too many for Temporal. This is its beginning. The log has the whole answer: {} \
             at the worker",
            result.logs_path
        )));
    }
}

/// Notes why a task failed.
pub(super) fn note_failure(end: &TaskEnd) {
    if end.kind() == EndKind::Failed
        && let Some(problem) = end.problem()
    {
        print::error(problem);
    }
}

/// Prints an event of this program as JSON.
fn own_line(mut event: Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("type".to_owned(), OWN_TYPE.into());
    }
    print::line(&terminal::json(&event.to_string()));
}
