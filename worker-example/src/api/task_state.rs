//! What the API says of a task.

use serde_json::{Map, Value, json};

use super::app::timestamp;
use crate::{
    client::{Look, TaskEnd, TaskStatus},
    task::{TaskId, TaskResult},
};

/// The status in the words of the API: `pending`, `running`, `completed`, `failed` or `cancelled`.
pub(super) fn status_word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::WaitingForWorker | TaskStatus::Paused | TaskStatus::Unknown => "pending",
        TaskStatus::Running => "running",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed | TaskStatus::Terminated | TaskStatus::TimedOut => "failed",
        TaskStatus::Cancelled => "cancelled",
    }
}

/// A task without its result, and with its progress while it is open.
pub(super) fn of_look(id: &TaskId, look: &Look) -> Value {
    let mut state = json!({
        "taskId": id,
        "status": status_word(look.status),
        "logsPath": format!("sessions/{id}"),
    });
    if let Some(state) = state.as_object_mut() {
        for (name, time) in [("createdAt", look.created), ("completedAt", look.closed)] {
            if let Some(time) = time {
                state.insert(name.to_owned(), timestamp(time).into());
            }
        }
        if look.status.is_open()
            && let Ok(Value::Object(progress)) = serde_json::to_value(&look.progress)
        {
            state.extend(progress);
        }
    }
    state
}

/// A task that has ended.
pub(super) fn of_end(id: &TaskId, end: &TaskEnd) -> Value {
    let mut state = Map::new();
    state.insert("taskId".to_owned(), json!(id));
    state.insert("status".to_owned(), end.kind().as_str().into());
    add_end(&mut state, end);
    Value::Object(state)
}

/// Adds what is known of a task's end.
pub(super) fn add_end(state: &mut Map<String, Value>, end: &TaskEnd) {
    if let Some(problem) = end.problem() {
        state.insert("error".to_owned(), problem.into());
    }
    let Some(Ok(Value::Object(result))) = end.result().map(serde_json::to_value::<&TaskResult>)
    else {
        return;
    };
    for (name, value) in result {
        // The problem is told as `error`, and the delivery of the webhook by its state.
        if !value.is_null() && name != "problem" && name != "webhookWorkflow" {
            state.entry(name).or_insert(value);
        }
    }
}
