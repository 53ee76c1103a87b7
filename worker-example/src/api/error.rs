//! Refusals, and the answer to each: `{"error":"…"}`.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use temporal_kms_codec_service::{audit::NotAudited, auth::Refused};

use crate::{
    client::ClientError,
    task::{RequestError, TaskId},
};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The request is not valid.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body is too large.
    #[error("the request is larger than {limit} bytes; shorten the prompt")]
    TooLarge { limit: usize },
    /// Temporal does not take a request of this size.
    #[error(
        "the request is larger than Temporal accepts, because this service has no store; shorten it. The operator can name a \
         store with --store"
    )]
    TooLargeForTemporal,
    /// The body did not arrive in time, or not completely.
    #[error("the request's body did not arrive completely; send it again")]
    Body,
    /// The body is not JSON by its header.
    #[error("send the request as JSON with the header Content-Type: application/json")]
    ContentType,
    /// The caller is not known.
    #[error(transparent)]
    Unauthenticated(#[from] Refused),
    /// The caller may not use the service.
    #[error(
        "you may not run tasks in this namespace: the role write, worker or admin is missing. Ask an administrator for it"
    )]
    Denied,
    /// A web page sent the request to a server without authentication.
    #[error(
        "web pages and foreign host names are refused, because this server authenticates nobody; call it as localhost, or \
         configure authentication"
    )]
    Browser,
    /// The caller has too many requests.
    #[error("you have too many requests; try again in a moment")]
    TooMany { wait: Duration },
    /// The server has too many requests.
    #[error("the service has too many requests; try again in a moment")]
    Overloaded,
    /// The caller has no such task.
    #[error("Task not found")]
    NotFound {
        task: TaskId,
        ended: Option<&'static str>,
    },
    /// Another task has this id.
    #[error(
        "a task with this taskId exists or existed with another request; choose another taskId"
    )]
    Exists(TaskId),
    /// The task with this id ends.
    #[error(
        "the task with this taskId is cancelled, because its client has left or asked for it. Send the request with another \
         taskId"
    )]
    Cancelled(TaskId),
    /// No worker can sign webhooks.
    #[error(
        "this service cannot send webhooks, because its workers cannot sign them. Its operator can set \
         CLOUDRUN_CALLBACK_SECRET. Or send the request to /tasks, and ask for the end of the task at /tasks/{{id}}"
    )]
    NoWebhooks,
    /// No such path.
    #[error("Not found")]
    UnknownPath,
    /// The path has other methods.
    #[error("Method not allowed; use {0}")]
    Method(&'static str),
    /// `Last-Event-ID` is not a number.
    #[error(
        "Last-Event-ID must be the id of an event, which is a number; leave it out to begin with the first event"
    )]
    EventId,
    /// `next` is not a number.
    #[error("next must be the number of an event; leave it out to begin with the first event")]
    Next,
    /// Nothing is done while the audit log cannot be written.
    #[error(
        "the service cannot write its audit log, so it does nothing; try again later. The log of the service has the reason"
    )]
    NotAudited,
    /// The work was done, and its line in the audit log cannot be written.
    #[error(
        "the request may have been done, but the service cannot write its audit log; look at the task before you send the \
         request again. The log of the service has the reason"
    )]
    NotRecorded,
    /// A defect of the service.
    #[error(
        "the service has failed at this request; tell its operator. The log of the service has the reason"
    )]
    Internal,
    /// The service has no logs of tasks.
    #[error(
        "this service stores no logs; its operator can name a store with --store. /tasks/{{id}}/events has the newest events"
    )]
    NoStore,
    /// The keys of the service do not open the log.
    #[error(
        "this service cannot open the log of the task: its key may not decrypt, or the log was sealed with another key. A \
         person with the key and the store can: `claude-tasks logs --store URL`"
    )]
    Sealed(Reason),
    /// The store does not answer.
    #[error("the store of the logs does not answer now; try again in a moment")]
    Store(Reason),
    /// Temporal or the key service fails.
    #[error(
        "the task service cannot do this now; try again in a moment. The log of the service has the reason"
    )]
    Client(#[source] ClientError),
}

impl From<NotAudited> for ApiError {
    fn from(_: NotAudited) -> Self {
        Self::NotAudited
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotFound(task) => Self::NotFound { task, ended: None },
            ClientError::Exists(task) => Self::Exists(task),
            ClientError::TooLarge(_) => Self::TooLargeForTemporal,
            error => Self::Client(error),
        }
    }
}

impl ApiError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Request(RequestError::TooLarge { .. })
            | Self::TooLarge { .. }
            | Self::TooLargeForTemporal => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Request(_) | Self::Body | Self::EventId | Self::Next => StatusCode::BAD_REQUEST,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthenticated(refused) => refused.status(),
            Self::Denied | Self::Browser => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound { .. } | Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Exists(_) | Self::Cancelled(_) => StatusCode::CONFLICT,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoStore | Self::Sealed(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded
            | Self::Client(_)
            | Self::NoWebhooks
            | Self::NotAudited
            | Self::NotRecorded
            | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The reason for the log. Callers do not see the names of keys and servers.
    pub(super) fn for_operator(&self) -> String {
        match self {
            Self::Client(error) => error.to_string(),
            Self::Sealed(Reason(problem)) | Self::Store(Reason(problem)) => problem.clone(),
            Self::Unauthenticated(refused) => format!("not authenticated ({})", refused.label()),
            other => other.to_string(),
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({"error": self.to_string()});
        let more = match self {
            Self::NotFound { task, ended } => {
                let message = match ended {
                    Some(status) => format!("Task {task} has already ended: {status}"),
                    None => format!("No task {task} is known"),
                };
                json!({"message": message, "taskId": task, "status": ended})
            }
            Self::Exists(task) | Self::Cancelled(task) => json!({"taskId": task}),
            _ => return body,
        };
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        body
    }
}

/// What the log says of a refusal. It is passed in the answer's extensions.
#[derive(Clone, Debug)]
pub(super) struct Reason(pub(super) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_answer(self.status(), &self.body());
        response
            .extensions_mut()
            .insert(Reason(self.for_operator()));
        let headers = response.headers_mut();
        if let Self::Unauthenticated(_) = &self {
            let challenge = HeaderValue::from_static("Bearer realm=\"claude-tasks\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let wait = match &self {
            Self::TooMany { wait } => wait.as_secs().saturating_add(1),
            Self::Overloaded
            | Self::Client(_)
            | Self::NotAudited
            | Self::NotRecorded
            | Self::Store(_) => 1,
            Self::Method(allowed) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
                return response;
            }
            _ => return response,
        };
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        response
    }
}

/// An answer of compact JSON.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do_and_shows_no_detail_of_the_service() {
        let task = || -> TaskId { "t-1".parse().unwrap() };
        for (error, status, text) in [
            (ApiError::TooLarge { limit: 5 }, 413, "shorten"),
            (ApiError::TooLargeForTemporal, 413, "shorten"),
            (ApiError::Cancelled(task()), 409, "another taskId"),
            (ApiError::NoWebhooks, 503, "/tasks/{id}"),
            (ApiError::Body, 400, "send it again"),
            (ApiError::ContentType, 415, "application/json"),
            (ApiError::Denied, 403, "Ask an administrator"),
            (ApiError::Browser, 403, "configure authentication"),
            (
                ApiError::TooMany {
                    wait: Duration::ZERO,
                },
                429,
                "try again",
            ),
            (ApiError::Overloaded, 503, "try again"),
            (
                ApiError::NotFound {
                    task: task(),
                    ended: None,
                },
                404,
                "Task not found",
            ),
            (ApiError::Exists(task()), 409, "choose another taskId"),
            (ApiError::EventId, 400, "leave it out"),
            (ApiError::Next, 400, "leave it out"),
            (ApiError::NotAudited, 503, "try again"),
            (ApiError::NotRecorded, 503, "may have been done"),
            (ApiError::Internal, 500, "operator"),
            (ApiError::NoStore, 501, "--store"),
            (
                ApiError::Sealed(Reason("secret".to_owned())),
                501,
                "claude-tasks logs",
            ),
            (
                ApiError::Store(Reason("secret".to_owned())),
                503,
                "try again",
            ),
            (
                ApiError::Client(ClientError::NoWorker("secret-queue".to_owned())),
                503,
                "try again",
            ),
        ] {
            assert_eq!(error.status().as_u16(), status);
            let body = error.body().to_string();
            assert!(body.contains(text) && !body.contains("secret"), "{body}");
        }
    }
}
