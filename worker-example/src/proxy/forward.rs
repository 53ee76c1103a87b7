//! One call, from the task to the API and back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    answer::{self, AnswerBody},
    body,
    budget::{Budget, ProxyLimits, Reservation},
    headers,
    route::Route,
    token::Token,
    upstream::{ApiClient, ApiCredential},
    usage::UsageReader,
};
use crate::client::error_chain;

/// Memory is counted in these.
const UNIT: usize = 1024;
/// How many bytes of a body make a token, about.
const BYTES_PER_TOKEN: u64 = 4;
/// How long a task may take to send a body.
const BODY_TIME: Duration = Duration::from_mins(2);

/// What a proxy needs to forward calls.
pub(super) struct Forwarder {
    token: Token,
    credential: ApiCredential,
    upstream: ApiClient,
    limits: ProxyLimits,
    budget: Arc<Budget>,
    /// Memory for bodies, in units of [`UNIT`] bytes.
    memory: Semaphore,
}

/// A call that is not forwarded.
struct Refused {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }
}

impl Forwarder {
    pub(super) fn new(
        token: Token,
        credential: ApiCredential,
        upstream: ApiClient,
        limits: ProxyLimits,
    ) -> Self {
        // For two of the longest bodies.
        let memory = Semaphore::new(2 * (limits.call_bytes / UNIT + 1));
        Self {
            token,
            credential,
            upstream,
            limits,
            budget: Arc::default(),
            memory,
        }
    }

    /// Answers a call.
    pub(super) async fn answer(self: Arc<Self>, call: Request<Incoming>) -> Response<AnswerBody> {
        match self.forward(call).await {
            Ok(answer) => answer,
            Err(refused) => {
                tracing::debug!(status = %refused.status, reason = refused.message, "a call of a task was not forwarded");
                answer::error(refused.status, refused.kind, &refused.message)
            }
        }
    }

    async fn forward(
        self: Arc<Self>,
        call: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Refused> {
        let (head, body) = call.into_parts();
        if !self.token.is_in(&head.headers) {
            return Err(Refused::new(
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                "the task's token is missing or wrong",
            ));
        }
        let route = Route::of(&head.method, &head.uri).ok_or_else(|| {
            Refused::new(
                StatusCode::NOT_FOUND,
                "not_found_error",
                "the proxy of this task does not forward this call",
            )
        })?;
        if head.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Refused::invalid("the body must not be compressed"));
        }
        self.budget.begin(&self.limits).map_err(Refused::invalid)?;
        let (answer, reserved) = {
            let _memory = self.reserve(&body).await?;
            let body = self.read(body).await?;
            self.budget.add_bytes(body.len());
            let cost = body::check(&body, &self.limits).map_err(Refused::invalid)?;
            let estimate = match route {
                Route::Messages => {
                    (body.len() as u64 / BYTES_PER_TOKEN).saturating_add(cost.max_tokens)
                }
                Route::CountTokens => 0,
            };
            let reserved = self.budget.reserve(&self.limits, estimate).await;
            // From here on the task pays, also when it leaves before the answer begins.
            let mut reserved = reserved.map_err(Refused::invalid)?;
            let answer = self.send(route, &head.headers, body, &mut reserved).await?;
            (answer, reserved)
        };
        Ok(self.pass(answer, reserved))
    }

    /// Waits for memory for a body, so that many calls at a time do not fill that of the worker.
    async fn reserve(&self, body: &Incoming) -> Result<SemaphorePermit<'_>, Refused> {
        let most = self.limits.call_bytes;
        let size = body.size_hint().exact().unwrap_or(most as u64);
        let size = usize::try_from(size).ok().filter(|size| *size <= most);
        let units = size.ok_or_else(|| self.too_large())? / UNIT + 1;
        let permit = self
            .memory
            .acquire_many(u32::try_from(units).unwrap_or(u32::MAX));
        permit
            .await
            .map_err(|_| Refused::invalid("the task has ended"))
    }

    fn too_large(&self) -> Refused {
        Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            format!("the body has more than {} bytes", self.limits.call_bytes),
        )
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refused> {
        let body = Limited::new(body, self.limits.call_bytes).collect();
        match timeout(BODY_TIME, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(self.too_large()),
            Ok(Err(_)) => Err(Refused::invalid("the body cannot be read")),
            Err(_) => Err(Refused::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout_error",
                "the body did not arrive in time",
            )),
        }
    }

    async fn send(
        &self,
        route: Route,
        sent: &http::HeaderMap,
        body: Bytes,
        reserved: &mut Reservation,
    ) -> Result<reqwest::Response, Refused> {
        let unreachable =
            |message: &str| Refused::new(StatusCode::BAD_GATEWAY, "api_error", message);
        let call = self
            .upstream
            .post(route)
            .map_err(|_| unreachable("the worker's URL of the API is not valid"))?
            .headers(headers::to_api(sent, &self.credential))
            .timeout(self.limits.call_time)
            .body(body);
        match call.send().await {
            Ok(answer) if answer.status().is_redirection() => {
                reserved.costs(0);
                Err(unreachable("the API answered with a redirect"))
            }
            Ok(answer) => Ok(answer),
            Err(error) => {
                if error.is_connect() {
                    reserved.costs(0);
                }
                // `without_url` keeps the log free of what an operator's URL may hold.
                let error = error_chain(&error.without_url());
                tracing::warn!(error, "cannot reach the API for a task");
                Err(unreachable("the worker cannot reach the API"))
            }
        }
    }

    fn pass(
        self: Arc<Self>,
        from: reqwest::Response,
        reserved: Reservation,
    ) -> Response<AnswerBody> {
        let status = from.status();
        let headers = headers::to_task(from.headers());
        let counter = Counter {
            forwarder: self,
            reader: UsageReader::default(),
            reserved,
            is_error: !status.is_success(),
        };
        let stream = counted(counter, from.bytes_stream());
        let mut answer = Response::new(BodyExt::boxed_unsync(StreamBody::new(stream)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }
}

/// Passes the pieces of an answer, and counts them. The tokens are counted also when the task leaves early.
fn counted(
    mut counter: Counter,
    pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = reqwest::Result<Frame<Bytes>>> + Send + 'static {
    pieces.map(move |piece| {
        piece.map(|bytes| {
            counter.forwarder.budget.add_bytes(bytes.len());
            counter.reader.read(&bytes);
            Frame::data(bytes)
        })
    })
}

struct Counter {
    forwarder: Arc<Forwarder>,
    reader: UsageReader,
    reserved: Reservation,
    is_error: bool,
}

impl Drop for Counter {
    fn drop(&mut self) {
        // An error costs nothing.
        let unknown = if self.is_error {
            0
        } else {
            self.reserved.estimate()
        };
        self.reserved.costs(self.reader.tokens(unknown));
    }
}
