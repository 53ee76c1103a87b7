//! HTTP: finds the operation, applies faults and records the calls.

use std::{convert::Infallible, io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures::{StreamExt as _, future, stream};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::{
    Fault, crypto,
    error::ApiError,
    grants, lifecycle,
    store::{Store, arn},
    sts,
};

const MAX_REQUEST: usize = 1 << 20;
/// The region of a server that answers for each region that a call is signed for.
pub(crate) const EVERYWHERE: &str = "*";

/// One region's AWS KMS and AWS STS. It ends when it is dropped.
pub struct Server {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    region: String,
    store: Arc<Mutex<Store>>,
    script: Mutex<Vec<Script>>,
    calls: Mutex<Vec<Call>>,
    session_expiry: Mutex<String>,
}

struct Script {
    operation: String,
    times: usize,
    fault: Fault,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `Decrypt`.
    pub operation: String,
    /// The access key that signed it, if one did.
    pub access_key: Option<String>,
    /// What was asked: JSON for AWS KMS, an object of strings for AWS STS.
    pub input: Value,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

impl Server {
    pub(crate) async fn start(store: Arc<Mutex<Store>>, region: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            region: region.to_owned(),
            store,
            script: Mutex::default(),
            calls: Mutex::default(),
            session_expiry: Mutex::new("2100-01-01T00:00:00Z".to_owned()),
        });
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self {
            url,
            shared,
            serving,
        })
    }

    /// Where it is, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the next `times` calls of `operation` fail.
    pub fn fail(&self, operation: &str, fault: Fault, times: usize) {
        let operation = operation.to_owned();
        self.shared.script.lock().push(Script {
            operation,
            times,
            fault,
        });
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.shared.script.lock().clear();
    }

    /// Gives `member` a grant of these operations on a key, as another tool would.
    pub fn grant(&self, arn: &str, member: &str, operations: &[&str]) {
        let region = arn.split(':').nth(3).unwrap_or_default();
        let input = json!({ "KeyId": arn, "GranteePrincipal": member, "Operations": operations });
        // A key that does not exist has no grants.
        drop(grants::create(
            &mut self.shared.store.lock(),
            region,
            &input,
        ));
    }

    /// When the sessions that AWS STS hands out from now on expire, in RFC 3339.
    pub fn expire_sessions(&self, at: &str) {
        at.clone_into(&mut self.shared.session_expiry.lock());
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().clone()
    }

    /// How often `operation` was called.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        let calls = self.shared.calls.lock();
        calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(shared.clone(), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client may disconnect at any time.
            drop(served.await);
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let header = |name: &str| {
        let value = request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let target = header("x-amz-target");
    let scope = Scope::parse(&header("authorization"));
    let body = Limited::new(request.into_body(), MAX_REQUEST)
        .collect()
        .await;
    let body = body.map_err(io::Error::other)?.to_bytes();

    let kms = target.strip_prefix("TrentService.").map(str::to_owned);
    let (operation, input) = if let Some(operation) = &kms {
        (
            operation.clone(),
            serde_json::from_slice(&body).unwrap_or(Value::Null),
        )
    } else {
        let fields = sts::fields(&body);
        (
            fields.get("Action").cloned().unwrap_or_default(),
            json!(fields),
        )
    };
    let number = {
        let mut calls = shared.calls.lock();
        calls.push(Call {
            operation: operation.clone(),
            access_key: scope.as_ref().map(|scope| scope.access_key.clone()),
            input: input.clone(),
        });
        calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    };
    let fault = shared.fault(&operation);
    let answered = if kms.is_some() {
        let scripted = fault.and_then(Fault::error).map(Err);
        let called = || shared.call(&operation, &input, scope.as_ref());
        Answered::kms(scripted.unwrap_or_else(called))
    } else if let Some(Fault::Error(code) | Fault::Message(code, _)) = fault {
        Answered::xml(400, sts::error(code))
    } else {
        let expiry = shared.session_expiry.lock().clone();
        Answered::xml(200, sts::answer(&sts::fields(&body), number, &expiry))
    };
    deliver(answered, fault, &shared.region).await
}

impl Shared {
    fn fault(&self, operation: &str) -> Option<Fault> {
        let mut script = self.script.lock();
        let entry = script.iter_mut().find(|entry| {
            entry.times > 0 && [operation, "*"].contains(&entry.operation.as_str())
        })?;
        entry.times -= 1;
        Some(entry.fault)
    }

    fn call(
        &self,
        operation: &str,
        input: &Value,
        scope: Option<&Scope>,
    ) -> Result<Value, ApiError> {
        let scope = scope.ok_or_else(|| {
            ApiError::new(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        })?;
        let is_here = self.region == EVERYWHERE || scope.region == self.region;
        if !is_here || scope.service != "kms" {
            return Err(ApiError::new(
                "InvalidSignatureException",
                format!(
                    "Credential should be scoped to a valid region, not '{}'.",
                    scope.region
                ),
            ));
        }
        let mut store = self.store.lock();
        crypto::call(&mut store, &scope.region, operation, input)
            .or_else(|| lifecycle::call(&mut store, &scope.region, operation, input))
            .unwrap_or_else(|| Err(ApiError::new("UnknownOperationException", "")))
    }
}

/// The credential scope of AWS Signature Version 4; the signature itself is not checked.
struct Scope {
    access_key: String,
    region: String,
    service: String,
}

impl Scope {
    fn parse(authorization: &str) -> Option<Self> {
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let mut parts = rest.split_once(',')?.0.split('/').map(str::to_owned);
        let (access_key, _date) = (parts.next()?, parts.next()?);
        Some(Self {
            access_key,
            region: parts.next()?,
            service: parts.next()?,
        })
    }
}

struct Answered {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Answered {
    fn kms(result: Result<Value, ApiError>) -> Self {
        let (status, body) = match result {
            Ok(value) => (200, value.to_string()),
            Err(error) => (error.status, error.body().to_string()),
        };
        Self {
            status,
            content_type: "application/x-amz-json-1.1",
            body,
        }
    }

    fn xml(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "text/xml",
            body,
        }
    }
}

impl Fault {
    fn error(self) -> Option<ApiError> {
        match self {
            Self::Error(code) => Some(ApiError::new(code, "scripted")),
            Self::Message(code, message) => Some(ApiError::new(code, message)),
            _ => None,
        }
    }
}

async fn deliver(
    answered: Answered,
    fault: Option<Fault>,
    region: &str,
) -> io::Result<Response<Body>> {
    let Answered {
        status,
        content_type,
        body,
    } = answered;
    let content_type = match fault {
        Some(Fault::Html(..)) => "text/html",
        Some(Fault::XmlDenial) => "text/xml",
        _ => content_type,
    };
    let (status, body) = match fault {
        Some(Fault::Hangup) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Hang) => future::pending().await,
        Some(Fault::Status(status)) => (status, whole("")),
        Some(Fault::Html(status, page)) => (status, whole(page)),
        Some(Fault::XmlDenial) => (
            403,
            whole("<Response><Errors><Error>denied</Error></Errors></Response>"),
        ),
        Some(Fault::Garbage) => (200, whole("<html>it works</html>")),
        Some(Fault::Empty) => (200, whole("{}")),
        Some(Fault::Cut) => (status, cut(&body)),
        Some(Fault::Endless) => (200, endless()),
        Some(Fault::OtherKey) => (status, whole(&of_another_key(&body, region))),
        Some(Fault::Length(len)) => (status, whole(&of_length(&body, len))),
        Some(Fault::Error(_) | Fault::Message(..)) | None => (status, whole(&body)),
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", content_type);
    // A proxy sends no request id.
    if !matches!(fault, Some(Fault::Html(..))) {
        response = response.header("x-amzn-requestid", "scripted-request");
    }
    response.body(body).map_err(io::Error::other)
}

fn whole(text: &str) -> Body {
    let body = Full::new(Bytes::from(text.to_owned()));
    body.map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn cut(text: &str) -> Body {
    let half = text.get(..text.len() / 2).unwrap_or_default().to_owned();
    let end = Err(io::ErrorKind::ConnectionReset.into());
    StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from(half))), end])).boxed_unsync()
}

fn endless() -> Body {
    let chunk = Bytes::from(vec![b' '; 64 * 1024]);
    StreamBody::new(stream::repeat(chunk).map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}

fn of_length(body: &str, len: usize) -> String {
    let mut value: Value = serde_json::from_str(body).unwrap_or_default();
    for field in ["Plaintext", "CiphertextBlob"] {
        if let Some(bytes) = value.get_mut(field) {
            *bytes = BASE64.encode(vec![7; len]).into();
            break;
        }
    }
    value.to_string()
}

fn of_another_key(body: &str, region: &str) -> String {
    let mut value: Value = serde_json::from_str(body).unwrap_or_default();
    let other = Value::from(arn(region, "00000000-0000-0000-0000-000000000000"));
    if let Some(key) = value.get_mut("KeyId") {
        *key = other.clone();
    }
    if let Some(key) = value.pointer_mut("/KeyMetadata/Arn") {
        *key = other;
    }
    value.to_string()
}
