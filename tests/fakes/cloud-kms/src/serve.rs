//! HTTP: connections, the faults of each call, the journal.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderMap, HeaderValue, Method, Request, Response, Uri,
        header::{AUTHORIZATION, DATE},
    },
    routing::{get, post},
};
use chrono::{TimeDelta, Utc};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceExt as _;

use crate::{
    Call, Canned, FaultKind, control,
    error::{ApiError, Code, json_response},
    route::{Route, Rpc},
    rpc,
    shared::Shared,
};

const MAX_BODY: usize = 1 << 20;

/// Marks a response that must not be sent.
#[derive(Clone)]
struct Hangup;

/// Closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
struct Closed;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route(
            "/_emulator/faults",
            get(control::faults).put(control::set_faults),
        )
        .route("/_emulator/calls", get(control::calls))
        .route("/_emulator/clock", post(control::advance))
        .fallback(call)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                answer(router.clone(), Arc::clone(&shared), request)
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client may disconnect at any time.
            drop(served.await);
        });
    }
}

async fn answer(
    router: Router,
    shared: Arc<Shared>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Closed> {
    let mut response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Some(date) = skewed_date(&shared) {
        response.headers_mut().insert(DATE, date);
    }
    match response.extensions().get::<Hangup>() {
        Some(Hangup) => Err(Closed),
        None => Ok(response),
    }
}

/// The `Date` that a fault sets. Without one, the server writes the right date.
fn skewed_date(shared: &Shared) -> Option<HeaderValue> {
    let skew = shared
        .faults
        .lock()
        .iter()
        .find_map(|fault| match fault.kind {
            FaultKind::Skew(seconds) => Some(seconds),
            _ => None,
        })?;
    let date = Utc::now().checked_add_signed(TimeDelta::try_seconds(skew)?)?;
    HeaderValue::from_str(&date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

async fn call(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let route = Route::parse(&method, uri.path(), uri.query().unwrap_or_default());
    let canned = shared.canned.lock().as_ref().map(Canned::response);
    let response = match (canned, &route) {
        (Some(canned), _) => canned,
        (None, Ok(route)) => perform(&shared, route, &body).await,
        (None, Err(error)) => failure(error),
    };
    let hung_up = response.extensions().get::<Hangup>().is_some();
    let (scheme, token) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split_once(' ').unwrap_or((value, "")))
        .unzip();
    let traceparent = headers.get("traceparent");
    let traceparent = traceparent.and_then(|value| value.to_str().ok());
    shared.journal.lock().record(Call {
        rpc: route.map_or_else(|_| String::new(), |route| route.rpc.to_string()),
        path: uri.path().to_owned(),
        status: if hung_up {
            0
        } else {
            response.status().as_u16()
        },
        authorization: scheme.map(str::to_owned),
        token: token.map(str::to_owned),
        traceparent: traceparent.map(str::to_owned),
    });
    response
}

async fn perform(shared: &Shared, route: &Route, body: &[u8]) -> Response<Body> {
    let (delay, fault) = draw(shared, route.rpc);
    tokio::time::sleep(delay).await;
    if let Some(response) = fault.and_then(|fault| instead(fault, route)) {
        return response;
    }
    let result = rpc::call(&mut shared.store.lock(), route, body);
    match result {
        Ok(mut answer) => {
            withhold_denied(shared, route.rpc, &mut answer);
            damage(fault, answer)
        }
        Err(error) => failure(&error),
    }
}

/// The faults that this call suffers, which count it.
fn draw(shared: &Shared, rpc: Rpc) -> (Duration, Option<FaultKind>) {
    let mut delay = Duration::ZERO;
    let mut first = None;
    let mut faults = shared.faults.lock();
    for fault in faults.iter_mut().filter(|fault| fault.concerns(rpc)) {
        match fault.kind {
            FaultKind::Latency(latency) => delay += latency,
            FaultKind::Skew(_) => continue,
            kind if first.is_none() => first = Some(kind),
            _ => continue,
        }
        fault.times = fault.times.map(|times| times.saturating_sub(1));
    }
    faults.retain(|fault| fault.times != Some(0));
    (delay, first)
}

/// The answer of a call that is not performed.
fn instead(fault: FaultKind, route: &Route) -> Option<Response<Body>> {
    let error = match fault {
        FaultKind::Status(status) => status_error(status),
        FaultKind::Deny => {
            ApiError::permission_denied(route.rpc.permission(), &route.name.to_string())
        }
        FaultKind::ServiceDisabled => ApiError::service_disabled(&route.name.project()),
        FaultKind::RequestDamaged => rpc::checksum_mismatch(route.rpc),
        FaultKind::Dead => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Hangup);
            return Some(response);
        }
        _ => return None,
    };
    Some(failure(&error))
}

fn status_error(status: u16) -> ApiError {
    let (code, message) = match status {
        401 => (
            Code::Unauthenticated,
            "Request had invalid authentication credentials.",
        ),
        409 => (
            Code::Aborted,
            "The operation was aborted, typically due to a concurrency issue.",
        ),
        429 => (
            Code::ResourceExhausted,
            "Quota exceeded for quota metric 'Cryptographic requests'.",
        ),
        500 => (Code::Internal, "Internal error encountered."),
        504 => (
            Code::DeadlineExceeded,
            "Deadline expired before operation could complete.",
        ),
        _ => (Code::Unavailable, "The service is currently unavailable."),
    };
    ApiError::new(code, message)
}

/// Removes denied permissions from an answer of `TestIamPermissions`.
fn withhold_denied(shared: &Shared, rpc: Rpc, answer: &mut Value) {
    if rpc != Rpc::TestIamPermissions {
        return;
    }
    let faults = shared.faults.lock();
    let denied = |permission: &Value| {
        Rpc::ALL
            .iter()
            .filter(|rpc| permission == rpc.permission())
            .any(|rpc| {
                faults
                    .iter()
                    .any(|fault| fault.kind == FaultKind::Deny && fault.concerns(*rpc))
            })
    };
    if let Some(permissions) = answer.get_mut("permissions").and_then(Value::as_array_mut) {
        permissions.retain(|permission| !denied(permission));
    }
}

/// Applies the fault to a good answer.
fn damage(fault: Option<FaultKind>, mut answer: Value) -> Response<Body> {
    if let (Some(FaultKind::Length(len)), Some(answer)) = (fault, answer.as_object_mut()) {
        rpc::replace_bytes(answer, &vec![7; len]);
    }
    let fields = answer
        .as_object_mut()
        .into_iter()
        .flat_map(|fields| fields.iter_mut());
    match fault {
        Some(FaultKind::WrongCrc) => {
            for (_, value) in fields.filter(|(field, _)| field.ends_with("Crc32c")) {
                if let Some(crc) = value.as_str().and_then(|text| text.parse::<u32>().ok()) {
                    *value = Value::from((crc ^ 1).to_string());
                }
            }
        }
        Some(FaultKind::WrongName) => {
            for (_, value) in fields.filter(|(field, _)| *field == "name") {
                if let Some(name) = value.as_str() {
                    *value = Value::from(name.replace("/keyRings/", "/keyRings/not-"));
                }
            }
        }
        Some(FaultKind::Unverified) => {
            for (_, value) in fields.filter(|(field, _)| field.starts_with("verified")) {
                *value = Value::Bool(false);
            }
        }
        Some(FaultKind::Garbage) => {
            return json_response(200, "<html>this is not the service</html>");
        }
        Some(FaultKind::Truncated) => {
            let mut text = answer.to_string();
            text.truncate(text.len() / 2);
            return json_response(200, text);
        }
        _ => {}
    }
    json_response(200, answer.to_string())
}

fn failure(error: &ApiError) -> Response<Body> {
    json_response(error.code.status(), error.body().to_string())
}
