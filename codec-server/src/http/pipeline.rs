//! A codec request from its head to its answer, one step after the other.

use std::{mem, pin::pin, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{Method, request};
use temporal_kms_codec_service::{
    auth::{self, Identity},
    body::{discard_unread, is_sent_unasked},
    telemetry::SecurityMetrics,
};

use super::{
    answer,
    app::App,
    audited,
    authenticate::{authenticate, authorize, check_cookies},
    body,
    connection::ConnectionInfo,
    log::Summary,
    namespace,
    request_error::RequestError,
    request_id::RequestId,
    route::{Operation, Route},
    transform::{self, Done},
};

/// As [`run`], for a route. What the log says of the request is in the answer's extensions.
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (mut response, summary) = run(&app, request).await;
    response.extensions_mut().insert(summary);
    response
}

/// Answers a codec request, and tells what the log says of it.
pub(super) async fn run(app: &App, request: Request) -> (Response, Summary) {
    let id = RequestId::of(&request);
    let mut asked = InFlight {
        app,
        id,
        summary: Summary::default(),
        is_answered: false,
    };
    let (head, mut body) = request.into_parts();
    // This future is large. Boxing it keeps the futures around it small.
    let done = Box::pin(steps(app, &head, &mut body, id, &mut asked.summary)).await;
    if done.is_err() && is_sent_unasked(&head.headers) {
        discard_unread(body, app.limits.max_body).await;
    }
    let mut summary = asked.answered();
    let response = match done {
        Ok(done) => answer::success(done),
        Err(refusal) => {
            if let Some(reason) = refusal.shed_reason() {
                app.metrics.requests().shed(reason);
            }
            summary.error = Some(refusal.for_operator());
            answer::refusal(&refusal, id)
        }
    };
    (response, summary)
}

/// A request without an answer yet. When it is dropped, the request was given up.
struct InFlight<'a> {
    app: &'a App,
    id: RequestId,
    summary: Summary,
    is_answered: bool,
}

impl InFlight<'_> {
    fn answered(mut self) -> Summary {
        self.is_answered = true;
        mem::take(&mut self.summary)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            audited::given_up(&self.app.audit, self.id, &self.summary);
        }
    }
}

/// The steps of a request. No step decides on the text of the URL: the route, the method and the namespace are parsed
/// once.
async fn steps(
    app: &App,
    head: &request::Parts,
    body: &mut Body,
    id: RequestId,
    summary: &mut Summary,
) -> Result<Done, RequestError> {
    let connection = head.extensions.get::<ConnectionInfo>();
    summary.client = connection.map(|connection| connection.peer().clone());
    // Before the first refusal: a request without an operation has no line in the audit log.
    let route = Route::of(&head.uri);
    summary.operation = route.as_ref().map(|route| route.operation.name());
    let _open = app.admission.open()?;
    app.origins.check(head)?;
    let route = route.ok_or(RequestError::UnknownPath)?;
    if head.method != Method::POST {
        return Err(RequestError::NotPost);
    }
    let identity = authenticate(head, &app.authenticator).await;
    count_caller(identity.as_ref(), app.metrics.security());
    let identity = identity?;
    if identity.method() != auth::Method::Open {
        check_cookies(head, &app.origins)?;
        summary.caller = Some(identity.clone());
    }
    let requested = namespace::of(head, &route, &app.namespaces, &identity)?;
    summary.namespace =
        Some(requested.namespace.clone()).filter(|name| app.namespaces.serves(name));
    authorize(&identity, route.operation, &requested.namespace)?;
    let codec = app.namespaces.codec(requested);
    let codec = codec.inspect_err(|_| summary.namespace = None)?;
    let namespace = codec.codec.namespace();
    if route.operation == Operation::Download {
        return Err(RequestError::NoDownload);
    }
    app.audit.check()?;
    let admitted = app.admission.admit(&identity, namespace, &codec.limits);
    let _admitted = admitted.await?;
    let limits = app.limits.within(&codec.limits);
    // A slow body must not hold a place among the requests in work.
    let share = app.memory.share();
    let body = body::read(mem::take(body), limits.max_body, app.timeouts.body, share).await?;
    summary.bytes = body.bytes.len();
    let transform = transform::Request {
        id,
        operation: route.operation,
        namespace: &codec,
        preserve_storage_refs: route.preserve_storage_refs,
        facts: &summary.facts,
        is_audited: app.audit.is_kept(),
        limits: &limits,
        known_metadata: app.known_metadata.of(namespace),
    };
    let work = pin!(transform.run(body));
    let work = app.audit.within(id, work);
    let done = app.permits.run(app.timeouts.request, work).await?;
    summary.payloads = done.payloads;
    summary.placeholders = done.placeholders.len();
    summary.references = done.references.len();
    Ok(done)
}

fn count_caller(identity: Result<&Identity, &RequestError>, metrics: &SecurityMetrics) {
    match identity {
        Ok(identity) if identity.method() == auth::Method::Open => {}
        Ok(identity) => metrics.authenticated(identity.method().name(), identity.issuer()),
        Err(RequestError::Unauthenticated(refused)) => metrics.not_authenticated(refused.label()),
        Err(_) => {}
    }
}
