//! `GET /tasks`, `GET /tasks/status` and `GET /tasks/{id}`.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    response::Response,
};
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
    task::{RequestError, TaskId},
};

/// The most tasks in a list.
const MAX_LISTED: usize = 100;

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

/// `GET /tasks/status`: how many tasks there are, of all callers.
pub(super) async fn counts(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let _caller = admit(&app, &head).await?;
    let counted = app.client.count().await?;
    let body = json!({
        "running": counted.running,
        "completed": counted.completed,
        "failed": counted.failed,
        "cancelled": counted.cancelled,
        "total": counted.total(),
    });
    Ok(json_answer(StatusCode::OK, &body))
}

/// `GET /tasks/{id}`: a task, with its result if it has ended.
pub(super) async fn task(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let (_caller, task, look) = own_task(&app, &head, &id).await?;
    let mut state = of_look(task.id(), &look);
    if !look.status.is_open() {
        let end = task.result().await?;
        if let Some(state) = state.as_object_mut() {
            add_end(state, &end);
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
    id: &str,
) -> Result<(Caller, Task, Look), ApiError> {
    let caller = admit(app, head).await?;
    let id: TaskId = id.parse().map_err(RequestError::from)?;
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
