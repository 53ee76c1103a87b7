//! `GET /tasks`, `GET /tasks/status` and `GET /tasks/{id}`.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
};
use futures::future::join_all;
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    access::{Caller, admit},
    app::App,
    error::{ApiError, json_answer},
    task_state::{add_end, of_look},
};
use crate::{
    client::{Look, Task},
    task::{RequestError, TaskId, TaskIdError},
};

/// The id in a path. One that is not UTF-8 is refused as a malformed one, after authentication.
pub(super) type PathId = Result<Path<String>, PathRejection>;

/// The most tasks in a list.
const MAX_LISTED: usize = 100;
/// The most tasks that one answer describes. Each costs a call of Temporal.
const MAX_DESCRIBED: usize = 20;

/// `GET /tasks`: the caller's newest tasks.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let caller = admit(&app, &head).await?;
    let is_own = |look: &Look| caller.owns(look.owner_name());
    let listed = app.client.list(MAX_LISTED, is_own).await?;
    let tasks: Vec<Value> = listed.iter().map(|(id, look)| of_look(id, look)).collect();
    Ok(json_answer(StatusCode::OK, &json!({"tasks": tasks})))
}

/// `GET /tasks/status`: how many tasks there are, of all callers, and how far the caller's own open tasks are.
pub(super) async fn counts(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let caller = admit(&app, &head).await?;
    let counted = app.client.count().await?;
    let is_own = |look: &Look| caller.owns(look.owner_name());
    let open = app.client.list_open(MAX_DESCRIBED, is_own).await?;
    let tasks = open.iter().map(|(id, listed)| described(&app, id, listed));
    let tasks = join_all(tasks).await;
    let body = json!({
        "running": counted.running,
        "completed": counted.completed,
        "failed": counted.failed,
        "cancelled": counted.cancelled,
        "total": counted.total(),
        "tasks": tasks,
    });
    Ok(json_answer(StatusCode::OK, &body))
}

/// A task of a list, with its progress. If Temporal cannot describe it, the answer has what the list says: a heartbeat that cannot
/// be read must not hide the other tasks.
async fn described(app: &App, id: &TaskId, listed: &Look) -> Value {
    match app.client.task(id).look().await {
        Ok(look) => of_look(id, &look),
        Err(_) => of_look(id, listed),
    }
}

/// `GET /tasks/{id}`: a task, with its result if it has ended.
pub(super) async fn task(
    State(app): State<Arc<App>>,
    id: PathId,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let (_caller, task, look) = own_task(&app, &head, id).await?;
    let mut state = of_look(task.id(), &look);
    if !look.status.is_open() {
        let end = task.result().await?;
        let workflow = end
            .result()
            .and_then(|result| result.webhook_workflow.as_deref());
        let webhook = match workflow {
            // The end of the task is told also when this is not known.
            Some(workflow) => task.webhook(workflow).await.unwrap_or_else(|error| {
                tracing::warn!(task = %task.id(), %error, "cannot look at the webhook of a task");
                None
            }),
            None => None,
        };
        if let Some(state) = state.as_object_mut() {
            add_end(state, &end);
            state.extend(webhook.map(|webhook| ("webhook".to_owned(), json!(webhook))));
        }
    }
    Ok(json_answer(StatusCode::OK, &state))
}

/// A task of the caller. The task of another caller is not found.
///
/// # Errors
/// When the id is malformed, or the caller has no such task.
pub(super) async fn own_task(
    app: &App,
    head: &Parts,
    id: PathId,
) -> Result<(Caller, Task, Look), ApiError> {
    let caller = admit(app, head).await?;
    let id = id.map_err(|_| TaskIdError);
    let id: TaskId = id
        .and_then(|Path(id)| id.parse())
        .map_err(RequestError::from)?;
    caller.noted.task(&id);
    let task = app.client.task(&id);
    let look = task.look().await?;
    if !look.is_task || !caller.owns(look.owner_name()) {
        return Err(ApiError::NotFound {
            task: id,
            ended: None,
        });
    }
    Ok((caller, task, look))
}
