//! `POST /run` runs a task and streams its events. `POST /run-async` and `POST /tasks` run it in the background.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use temporal_kms_codec_service::request_id::RequestId;

use super::{
    access::{Caller, admit},
    app::{App, timestamp},
    body,
    clients::Client,
    error::{ApiError, json_answer},
    sse::{self, Follow},
    start::start,
    task_state::status_word,
};
use crate::task::{RequestRules, TaskRequest};

/// The task of a stream, so that a client can find it again.
pub(super) const TASK_ID: HeaderName = HeaderName::from_static("x-task-id");

/// `POST /run`: closing the connection cancels the task, unless a retry of the same request follows it.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let request_id = RequestId::of(&request);
    let rules = app.live().config.rules.with_extra_callback();
    let (caller, request) = accept(&app, request, rules).await?;
    // If the client leaves while the task starts, it starts all the same. The guard is dropped then, and tells the workflow.
    let starting = Arc::clone(&app);
    let started = tokio::spawn(async move {
        let work = Box::pin(async {
            let started = start(&starting, &caller, request, false).await?;
            let client = if started.is_new {
                Client::starting(&starting, &started.task)
            } else if started.is_in_background {
                Client::watching()
            } else {
                Client::joining(&starting, &started.task).await?
            };
            Ok::<_, ApiError>((started, client))
        });
        let (started, client) = starting.audit.within(request_id, work).await?;
        Ok::<_, ApiError>((caller, started, client))
    });
    let (caller, started, client) = started.await.map_err(|error| {
        let error = std::io::Error::from(error);
        tracing::error!(%error, "a task could not be started");
        ApiError::Internal
    })??;
    let id = started.task.id().clone();
    let follow = Follow {
        app,
        task: started.task,
        created: started.created,
        next: 0,
        is_resumable: false,
        client,
        caller,
        request: request_id,
    };
    let mut response = sse::answer(follow);
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        response.headers_mut().insert(TASK_ID, id);
    }
    Ok(response)
}

/// `POST /run-async`: the service calls `callbackUrl` when the task ends.
pub(super) async fn run_async(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let rules = app.live().config.rules.with_callback_required();
    let (caller, request) = accept(&app, request, rules).await?;
    if !app.can_call_back() {
        return Err(ApiError::NoWebhooks);
    }
    in_background(&app, caller, request).await
}

/// `POST /tasks`: as `/run-async`, and `callbackUrl` may be left out.
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (caller, request) = accept(&app, request, app.live().config.rules).await?;
    in_background(&app, caller, request).await
}

async fn in_background(
    app: &App,
    caller: Caller,
    request: TaskRequest,
) -> Result<Response, ApiError> {
    let started = start(app, &caller, request, true).await?;
    let id = started.task.id();
    if !started.is_in_background {
        started.keep().await?;
    }
    let body = json!({
        "taskId": id,
        "status": status_word(started.status),
        "logsPath": format!("sessions/{id}"),
        "createdAt": timestamp(started.created),
    });
    Ok(json_answer(StatusCode::ACCEPTED, &body))
}

async fn accept(
    app: &App,
    request: Request,
    rules: RequestRules,
) -> Result<(Caller, TaskRequest), ApiError> {
    let (head, body) = request.into_parts();
    let caller = admit(app, &head).await?;
    let json = body::read(&head.headers, body).await?;
    caller.noted.bytes(json.len());
    Ok((caller, TaskRequest::from_json_with(&json, rules)?))
}
