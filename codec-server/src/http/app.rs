//! The service that clients call.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{
    Response, Serve, body,
    log::{self, Summary},
    memory::Memory,
    origin::OriginPolicy,
    places,
    request_error::RequestError,
    request_id::RequestId,
    route::{self, Operation, Route},
    transform::{self, Done},
};
use crate::{
    config::{CorsConfig, Limits, ServerConfig, Timeouts},
    namespaces::RequestNamespaces,
};

/// How long a request waits for others to finish. A page of history is a burst of hundreds of requests.
const QUEUE_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// The name of the request, as in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which payloads of the answer are placeholders: their places, counted from 0, as [`places`] writes them.
const PLACEHOLDERS: HeaderName = HeaderName::from_static("codec-server-placeholders");
/// Which payloads of the answer are storage references, and so not authenticated.
const REFERENCES: HeaderName = HeaderName::from_static("codec-server-references");

/// The state that all requests share.
pub(crate) struct App {
    namespaces: RequestNamespaces,
    origins: OriginPolicy,
    limits: Limits,
    timeouts: Timeouts,
    memory: Memory,
    permits: Semaphore,
}

impl App {
    pub(crate) fn new(
        namespaces: RequestNamespaces,
        server: &ServerConfig,
        cors: CorsConfig,
    ) -> Self {
        Self {
            namespaces,
            origins: OriginPolicy::new(cors, server.allowed_hosts.clone()),
            memory: Memory::new(server.limits.max_memory),
            permits: Semaphore::new(server.limits.max_requests),
            limits: server.limits.clone(),
            timeouts: server.timeouts.clone(),
        }
    }

    async fn answer(&self, request: Request<Incoming>, id: RequestId) -> Response {
        let mut summary = Summary::default();
        let mut response = match self.run(request, id, &mut summary).await {
            Ok(done) => success(done),
            Err(refusal) => {
                summary.error = Some(refusal.for_operator());
                refusal.into_response(id)
            }
        };
        let headers = response.headers_mut();
        // Only the caller may keep plaintext.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response.extensions_mut().insert(summary);
        response
    }

    async fn run(
        &self,
        request: Request<Incoming>,
        id: RequestId,
        summary: &mut Summary,
    ) -> Result<Done, RequestError> {
        let (head, body) = request.into_parts();
        self.origins.check(&head)?;
        let Route {
            operation,
            folder,
            preserve_storage_refs,
        } = Route::of(&head.uri).ok_or(RequestError::UnknownPath)?;
        summary.operation = Some(operation.name());
        if head.method != Method::POST {
            return Err(RequestError::NotPost);
        }
        let header = route::namespace_header(&head.headers)?;
        let codec = self.namespaces.resolve(header, Some(&folder))?;
        summary.namespace = Some(codec.codec.namespace().clone());
        if operation == Operation::Download {
            return Err(RequestError::NoDownload);
        }
        // A slow body must not hold a permit.
        let share = self.memory.share();
        let body = body::read(body, self.limits.max_body, self.timeouts.body, share).await?;
        let _permit = self.permit().await?;
        let transform = transform::Request {
            id,
            operation,
            namespace: &codec,
            preserve_storage_refs,
            limits: &self.limits,
        };
        let done = timeout(self.timeouts.request, transform.run(body))
            .await
            .unwrap_or(Err(RequestError::TooSlow))?;
        summary.payloads = done.payloads;
        summary.placeholders = done.placeholders.len();
        summary.references = done.references.len();
        Ok(done)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, RequestError> {
        match timeout(QUEUE_TIME, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(RequestError::Busy),
        }
    }
}

/// The whole service: log, CORS, answer.
pub(crate) fn service(app: Arc<App>) -> impl Serve {
    let inner = app.origins.cors_layer().layer(service_fn({
        let app = Arc::clone(&app);
        move |request: Request<Incoming>| {
            let app = Arc::clone(&app);
            async move {
                let id = request.extensions().get().copied();
                let id = id.unwrap_or_else(RequestId::next);
                Ok::<_, Infallible>(app.answer(request, id).await)
            }
        }
    }));
    service_fn(move |mut request: Request<Incoming>| {
        let (app, inner) = (Arc::clone(&app), inner.clone());
        async move {
            let (start, method) = (Instant::now(), log::method(request.method()));
            let id = RequestId::next();
            request.extensions_mut().insert(id);
            let (head, body) = request.into_parts();
            // Before CORS, which answers preflights by itself.
            app.origins.log_refused(&head);
            let request = Request::from_parts(head, body);
            let mut response = inner.oneshot(request).await?;
            let summary = response
                .extensions_mut()
                .remove::<Summary>()
                .unwrap_or_default();
            log::write(id, method, response.status(), start.elapsed(), &summary);
            if let Ok(id) = HeaderValue::try_from(id.to_string()) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            Ok(response)
        }
    })
}

fn success(done: Done) -> Response {
    let mut response = http::Response::new(Full::new(done.answer));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    for (name, places) in [
        (PLACEHOLDERS, &done.placeholders),
        (REFERENCES, &done.references),
    ] {
        if let Some(places) = places::value(places) {
            headers.insert(name, places);
        }
    }
    response
}
