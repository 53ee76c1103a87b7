//! `POST /cancel/{id}`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::json;

use super::{
    app::App,
    error::{ApiError, json_answer},
    task_state::status_word,
    tasks::{PathId, own_task},
};
use crate::client::{Cancellation, TaskStatus};

/// Cancels a task of the caller. A task that is already cancelled stays so.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    id: PathId,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let (_caller, task, _) = own_task(&app, &head, id).await?;
    match task.cancel().await? {
        Cancellation::Accepted | Cancellation::AlreadyEnded(TaskStatus::Cancelled) => {}
        Cancellation::AlreadyEnded(status) => {
            return Err(ApiError::NotFound {
                task: task.id().clone(),
                ended: Some(status_word(status)),
            });
        }
    }
    let body = json!({
        "message": "Task cancelled successfully",
        "taskId": task.id(),
        "status": "cancelled",
    });
    Ok(json_answer(StatusCode::OK, &body))
}
