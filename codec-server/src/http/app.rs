//! The service that clients call.

use std::{convert::Infallible, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{
    Response, Serve, body,
    log::{self, Summary},
    origin::Callers,
    refusal::Refusal,
    route::{self, Operation, Route},
    transform,
};
use crate::{
    config::{CorsConfig, Limits, ServerConfig, Timeouts},
    namespaces::Namespaces,
};

/// How long a request waits for others to finish. A page of history is a burst of hundreds of them.
const QUEUE_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// What all requests share.
pub(crate) struct App {
    namespaces: Arc<Namespaces>,
    callers: Callers,
    limits: Limits,
    timeouts: Timeouts,
    permits: Semaphore,
}

impl App {
    pub(crate) fn new(
        namespaces: Arc<Namespaces>,
        server: &ServerConfig,
        cors: CorsConfig,
    ) -> Self {
        Self {
            namespaces,
            callers: Callers::new(cors, server.allowed_hosts.clone()),
            permits: Semaphore::new(server.limits.max_requests),
            limits: server.limits.clone(),
            timeouts: server.timeouts.clone(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response {
        let mut summary = Summary::default();
        let mut response = match self.run(request, &mut summary).await {
            Ok(answer) => {
                let mut response = http::Response::new(Full::new(answer));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err(refusal) => {
                summary.error = Some(for_operator(&refusal));
                refusal.into_response()
            }
        };
        let headers = response.headers_mut();
        // Plaintext is for the one who asked.
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
        summary: &mut Summary,
    ) -> Result<Bytes, Refusal> {
        let (head, body) = request.into_parts();
        self.callers.check(&head)?;
        let Route {
            operation,
            segment,
            preserve_storage_refs,
        } = Route::of(&head.uri).ok_or(Refusal::UnknownPath)?;
        summary.operation = Some(operation.name());
        if head.method != Method::POST {
            return Err(Refusal::NotPost);
        }
        let header = route::namespace_header(&head.headers)?;
        let served = self.namespaces.served(header, segment)?;
        summary.namespace = Some(served.codec.namespace().clone());
        if operation == Operation::Download {
            return Err(Refusal::NoDownload);
        }
        let _permit = self.permit().await?;
        let body = body::read(body, self.limits.max_body, self.timeouts.body).await?;
        let transform = transform::Request {
            operation,
            served: &served,
            preserve_storage_refs,
            limits: &self.limits,
        };
        let done = timeout(self.timeouts.request, transform.run(body))
            .await
            .unwrap_or(Err(Refusal::TooSlow))?;
        summary.payloads = done.payloads;
        Ok(done.answer)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        match timeout(QUEUE_TIME, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Busy),
        }
    }
}

/// The whole of it: log, CORS, answer.
pub(crate) fn service(app: Arc<App>) -> impl Serve {
    let cors = app.callers.cors_layer();
    let inner = cors.layer(service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(app.answer(request).await) }
    }));
    service_fn(move |request: Request<Incoming>| {
        let inner = inner.clone();
        async move {
            let (start, method) = (Instant::now(), log::method(request.method()));
            let mut response = inner.oneshot(request).await?;
            let summary = response
                .extensions_mut()
                .remove::<Summary>()
                .unwrap_or_default();
            log::write(method, response.status(), start.elapsed(), &summary);
            Ok(response)
        }
    })
}

/// The refusal, with what of its cause is not for users: which key it is about.
fn for_operator(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Encode(error) => error.to_string(),
        Refusal::Decode { index, error } => format!("`payloads[{index}]`: {error}"),
        other => other.to_string(),
    }
}
