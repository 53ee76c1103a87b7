//! The client of a task service that is reached by its HTTP API. Temporal and the keys stay behind it.

mod events;
mod log;
mod retries;
mod sse;

use std::{sync::Arc, time::Duration};

use futures::Stream;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde::Deserialize as _;
use serde_json::Value;
use temporal_kms_codec::endpoint;
use url::Url;
use zeroize::Zeroizing;

use super::{
    chain::error_chain, error::ClientError, follow::TaskEvent, progress::TaskProgress,
    status::TaskStatus, task::Cancellation, task_end::TaskEnd,
};
use crate::task::{Secret, TaskId, TaskRequest};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for an answer that is not a stream.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest line of a stream or a log, in bytes. An event can be as long as a whole line of Claude Code.
const MAX_LINE: usize = 64 << 20;
/// The largest answer that is not a stream.
const MAX_ANSWER: usize = 16 << 20;

/// A client of the HTTP API.
#[derive(Clone)]
pub(crate) struct RemoteClient(Arc<Inner>);

struct Inner {
    base: Url,
    token: Option<Secret>,
    http: reqwest::Client,
}

/// A task at the service.
#[derive(Clone)]
pub(crate) struct RemoteTask {
    client: RemoteClient,
    id: TaskId,
}

impl RemoteClient {
    /// A client of the service at this URL. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL would send the token or the credential of a request unencrypted to another machine.
    pub(crate) fn new(base: Url, token: Option<Secret>) -> Result<Self, ClientError> {
        let cannot = |problem: String| ClientError::Server { problem };
        endpoint::check(&base.origin().ascii_serialization())
            .map_err(|problem| cannot(problem.to_string()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // Another server must not get the token.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| cannot(error_chain(&error)))?;
        Ok(Self(Arc::new(Inner { base, token, http })))
    }

    /// Submits a task, and does not wait for its end.
    ///
    /// # Errors
    /// When the service refuses it, or does not answer.
    pub(crate) async fn submit(&self, request: &TaskRequest) -> Result<RemoteTask, ClientError> {
        let body = serde_json::to_vec(request).map(Zeroizing::new);
        let body = body.map_err(|error| ClientError::Server {
            problem: error.to_string(),
        })?;
        let call = self
            .call(Method::POST, &["tasks"])
            .header("content-type", "application/json")
            .body(body.to_vec());
        let answer = self.answer(call).await?;
        if answer.status == StatusCode::CONFLICT
            && let Some(id) = &request.task_id
        {
            return Err(ClientError::Exists(id.clone()));
        }
        let answer = answer.accepted()?;
        let id = answer.get("taskId").and_then(Value::as_str);
        let id = id.and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| ClientError::Server {
            problem: "its answer has no taskId; check the URL".to_owned(),
        })?;
        Ok(self.task(id))
    }

    /// A task that was submitted before. This sends nothing.
    pub(crate) fn task(&self, id: TaskId) -> RemoteTask {
        RemoteTask {
            client: self.clone(),
            id,
        }
    }

    /// The caller's newest tasks: their ids, their states, and when they were submitted.
    ///
    /// # Errors
    /// When the service refuses it, or does not answer.
    pub(crate) async fn list(&self) -> Result<Vec<Value>, ClientError> {
        let answer = self.answer(self.call(Method::GET, &["tasks"])).await?;
        let mut answer = answer.accepted()?;
        match answer.get_mut("tasks").map(Value::take) {
            Some(Value::Array(tasks)) => Ok(tasks),
            _ => Ok(Vec::new()),
        }
    }

    fn call(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.call_url(method, self.url(path))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.0.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn call_url(&self, method: Method, url: Url) -> RequestBuilder {
        let call = self.0.http.request(method, url);
        match &self.0.token {
            Some(token) => call.bearer_auth(token.expose()),
            None => call,
        }
    }

    async fn answer(&self, call: RequestBuilder) -> Result<Answer, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Server {
            problem: error_chain(&error.without_url()),
        };
        let mut response = call
            .timeout(ANSWER_TIMEOUT)
            .send()
            .await
            .map_err(unreachable)?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(part.len()) > MAX_ANSWER {
                return Err(ClientError::Server {
                    problem: "its answer is too large".to_owned(),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer {
            status,
            retry_after,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}

/// An answer that is not a stream.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Value,
}

impl Answer {
    /// The body, unless the answer is a refusal.
    fn accepted(self) -> Result<Value, ClientError> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let problem = self.body.get("error").and_then(Value::as_str);
        Err(ClientError::Refused {
            status: self.status.as_u16(),
            problem: problem
                .unwrap_or("its answer gives no reason; check the URL")
                .to_owned(),
            retry_after: self.retry_after,
        })
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl RemoteTask {
    pub(crate) fn id(&self) -> &TaskId {
        &self.id
    }

    /// The answer, if it is the stream or the log that was asked for.
    async fn long_answer(&self, answer: Response, what: &str) -> Result<Response, ClientError> {
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => Err(ClientError::NotFound(self.id.clone())),
            status => {
                let retry_after = retry_after(&answer);
                let body = answer.json::<Value>().await.unwrap_or_default();
                let refusal = Answer {
                    status,
                    retry_after,
                    body,
                };
                refusal.accepted()?;
                Err(ClientError::Server {
                    problem: format!("its answer is not a {what}; check the URL"),
                })
            }
        }
    }

    /// The task's status.
    ///
    /// # Errors
    /// When the task does not exist, or the service does not answer.
    pub(crate) async fn status(&self) -> Result<TaskStatus, ClientError> {
        Ok(status_of(&self.state().await?))
    }

    /// The task's status, and how far it is.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub(crate) async fn progress(&self) -> Result<(TaskStatus, TaskProgress), ClientError> {
        let state = self.state().await?;
        // Services of earlier versions do not tell it, and later ones may know other steps.
        let progress = TaskProgress::deserialize(&state).unwrap_or_default();
        Ok((status_of(&state), progress))
    }

    /// How the task ended. `None` while it runs.
    ///
    /// # Errors
    /// When the task does not exist, or the service does not answer.
    pub(crate) async fn end(&self) -> Result<Option<TaskEnd>, ClientError> {
        let state = self.state().await?;
        Ok(TaskEnd::of_state(&self.id, &state))
    }

    /// What happens to the task, from its beginning to its end. A lost connection is opened again, and nothing is told twice.
    pub(crate) fn follow(
        &self,
    ) -> impl Stream<Item = Result<TaskEvent, ClientError>> + Send + use<> {
        events::follow(self.clone())
    }

    /// Hands each line of the task's log that is stored now to `each`. Returns how many there are.
    ///
    /// # Errors
    /// When the task does not exist, the service cannot open its log, or does not answer.
    pub(crate) async fn read_log(&self, each: impl FnMut(&str)) -> Result<u64, ClientError> {
        log::read(self, each).await
    }

    /// As [`read_log`](Self::read_log), with the lines that are stored later, until the task ends. After a refusal that does not
    /// last, or a lost connection, it goes on, and hands over nothing twice.
    ///
    /// # Errors
    /// As [`read_log`](Self::read_log), when it lasts.
    pub(crate) async fn follow_log(&self, each: impl FnMut(&str)) -> Result<u64, ClientError> {
        log::follow(self, each).await
    }

    /// Asks for the task's end, and does not wait for it.
    ///
    /// # Errors
    /// When the task does not exist, or the service does not answer.
    pub(crate) async fn cancel(&self) -> Result<Cancellation, ClientError> {
        let call = self
            .client
            .call(Method::POST, &["cancel", self.id.as_str()]);
        let answer = self.client.answer(call).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.body.get("status").is_some() {
            return Ok(Cancellation::AlreadyEnded(status_of(&answer.body)));
        }
        self.known(answer)?;
        Ok(Cancellation::Accepted)
    }

    async fn state(&self) -> Result<Value, ClientError> {
        let call = self.client.call(Method::GET, &["tasks", self.id.as_str()]);
        self.known(self.client.answer(call).await?)
    }

    fn known(&self, answer: Answer) -> Result<Value, ClientError> {
        if answer.status == StatusCode::NOT_FOUND {
            return Err(ClientError::NotFound(self.id.clone()));
        }
        answer.accepted()
    }
}

fn status_of(state: &Value) -> TaskStatus {
    match state.get("status").and_then(Value::as_str) {
        Some("pending") => TaskStatus::WaitingForWorker,
        Some("running") => TaskStatus::Running,
        Some("completed") => TaskStatus::Completed,
        Some("failed") => TaskStatus::Failed,
        Some("cancelled") => TaskStatus::Cancelled,
        _ => TaskStatus::Unknown,
    }
}
