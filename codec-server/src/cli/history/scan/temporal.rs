//! Calls of Temporal's service: gRPC with the few messages of a scan, over the HTTP client that the program has anyway.

use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::percent_decode_str;
use prost::Message;
use reqwest::{
    Certificate, Client, Identity, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE},
    redirect::Policy,
};
use temporal_kms_codec_service::{
    arguments::variable,
    temporal::{
        API_KEY, Address, AddressError, ConnectionError, Credentials, MissingNamespace, shown,
    },
    terminal,
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};
use zeroize::Zeroizing;

use super::super::super::exit::{Failure, Status};

const SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";
/// What can name the API key. The key itself is not an option, because all users of a machine can read arguments.
const KEY_NAMES: &str = "TEMPORAL_API_KEY or --api-key-file";
const TIMEOUT: Duration = Duration::from_secs(30);
/// Temporal's own limit is 4 MiB for a message.
const MAX_ANSWER: usize = 64 << 20;
/// Attempts at a call that fails for a while.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// Scan a namespace of the Temporal server at this address: HOST:PORT, `http://HOST:PORT` or `https://HOST:PORT`. HOST:PORT
    /// uses TLS if there is an API key for another machine, or a --tls option. An API key never leaves this machine without TLS.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "paths")]
    pub(super) address: Option<String>,
    /// The namespace to scan.
    #[arg(
        long,
        value_name = "NAME",
        env = "TEMPORAL_NAMESPACE",
        default_value = "default"
    )]
    pub(super) namespace: String,
    /// A file with the API key [default: `TEMPORAL_API_KEY`].
    #[arg(long, value_name = "FILE", requires = "address")]
    api_key_file: Option<PathBuf>,
    /// The certificate authorities that the server's certificate is checked with [default: those of the system].
    #[arg(long, value_name = "FILE", requires = "address")]
    tls_ca: Option<PathBuf>,
    /// The certificate of this client.
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "address")]
    tls_cert: Option<PathBuf>,
    /// The private key of this client.
    #[arg(long, value_name = "FILE", requires = "tls_cert", requires = "address")]
    tls_key: Option<PathBuf>,
}

/// A Temporal server.
pub(super) struct Temporal {
    client: Client,
    base: Url,
    headers: HeaderMap,
    pace: Pace,
}

/// Why a call failed: a status of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NotFound,
    Unimplemented,
    Denied,
    Transient,
    Other,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) code: Code,
    message: String,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let status = match error.code {
            Code::Denied => Status::NoPermission,
            Code::Transient => Status::Unavailable,
            Code::NotFound | Code::Unimplemented | Code::Other => Status::Data,
        };
        Self::new(status, error.message)
    }
}

impl Temporal {
    /// Makes the client. Nothing is sent.
    pub(super) fn new(args: &ConnectArgs, rate: NonZeroU32) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Status::Usage, message);
        let key = api_key(args)?;
        let credentials = Credentials {
            api_key: key.as_ref().map(|_| match args.api_key_file {
                Some(_) => "--api-key-file",
                None => API_KEY,
            }),
            tls_files: args.tls_ca.is_some() || args.tls_cert.is_some(),
        };
        let address = args.address.as_deref().unwrap_or_default();
        let base = address.parse::<Address>();
        let base = base.and_then(|address| address.url(credentials));
        let base = base.map_err(|error: AddressError| usage(format!("--address: {error}")))?;
        let is_clear = base.scheme() == "http";
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .http2_prior_knowledge();
        if is_clear {
            client = client.no_proxy();
        }
        if let Some(file) = &args.tls_ca {
            let certificates = Certificate::from_pem_bundle(&read(file)?).map_err(|_| {
                usage(format!(
                    "{}: it holds no certificate in PEM",
                    file.display()
                ))
            })?;
            client = client.tls_certs_only(certificates);
        }
        if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
            let mut pem = read(certificate)?;
            pem.extend_from_slice(&read(key)?);
            let identity = Identity::from_pem(&pem).map_err(|_| {
                usage(format!(
                    "{}: certificate and key are not in PEM",
                    certificate.display()
                ))
            })?;
            client = client.identity(identity);
        }
        let client = client
            .build()
            .map_err(|error| Failure::new(Status::Configuration, chain(&error)))?;
        Ok(Self {
            client,
            base,
            headers: headers(args, key.as_ref().map(|key| key.as_str()))?,
            pace: Pace::new(rate),
        })
    }

    /// The error of a namespace that does not exist.
    pub(super) fn missing(&self, namespace: &str) -> MissingNamespace {
        MissingNamespace::new(namespace, shown(&self.base))
    }

    /// Calls a method of the service.
    pub(super) async fn call<A: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<A, CallError> {
        let answer = self.call_raw(method, request).await?;
        A::decode(answer).map_err(|_| CallError {
            code: Code::Other,
            message: format!("the answer to {method} is not of Temporal"),
        })
    }

    /// As [`call`](Self::call), and returns the message as it came.
    pub(super) async fn call_raw(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<Bytes, CallError> {
        let body = framed(request);
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            self.pace.wait().await;
            match self.attempt(method, body.clone()).await {
                Err(error) if error.code == Code::Transient && attempt < ATTEMPTS => {
                    tracing::debug!(error = error.message, "a call of Temporal is repeated");
                    sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, method: &str, body: Bytes) -> Result<Bytes, CallError> {
        let transient = |message: String| CallError {
            code: Code::Transient,
            message: format!("{}: {message}", self.base),
        };
        let mut url = self.base.clone();
        url.set_path(&format!("/{SERVICE}/{method}"));
        let request = self.client.post(url).headers(self.headers.clone());
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| CallError {
            code: Code::Transient,
            message: ConnectionError::unreachable(&self.base, &error).to_string(),
        })?;
        if !answer.status().is_success() {
            return Err(http_error(&self.base, answer.status()));
        }
        let headers = answer.headers().clone();
        let body = reqwest::Body::from(answer);
        let collected = Limited::new(body, MAX_ANSWER).collect().await;
        let collected = collected.map_err(|error| transient(error.to_string()))?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let error = |headers| error_in(&self.base, headers);
        if let Some(error) = error(&headers).or_else(|| error(&trailers)) {
            return Err(error);
        }
        unframed(collected.to_bytes())
            .ok_or_else(|| transient(format!("the answer to {method} is not complete")))
    }
}

/// At most so many calls in a second.
struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(rate: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.get(),
            next: Mutex::new(Instant::now()),
        }
    }

    async fn wait(&self) {
        let until = {
            let mut next = self.next.lock().await;
            let until = (*next).max(Instant::now());
            *next = until + self.interval;
            until
        };
        sleep_until(until).await;
    }
}

/// One message without compression: a byte for the compression, and the length.
fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let len = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
    [&[0], &len.to_be_bytes()[..], &encoded].concat().into()
}

fn unframed(mut body: Bytes) -> Option<Bytes> {
    let (&[compression, a, b, c, d], _) = body.split_first_chunk::<5>()?;
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let message = body.split_off(5);
    (compression == 0 && message.len() == len).then_some(message)
}

/// The error of an answer that is not gRPC, such as one of a gateway before Temporal.
fn http_error(base: &Url, status: StatusCode) -> CallError {
    let reason = format!("it answers HTTP {status}, which is not gRPC");
    let code = match status.as_u16() {
        401 | 403 => return denied(base, &reason),
        429 | 500.. => Code::Transient,
        _ => Code::Other,
    };
    let message = format!("{}: {reason}", shown(base));
    CallError { code, message }
}

fn denied(base: &Url, reason: &str) -> CallError {
    CallError {
        code: Code::Denied,
        message: ConnectionError::denied(base, reason, KEY_NAMES).to_string(),
    }
}

fn error_in(base: &Url, headers: &HeaderMap) -> Option<CallError> {
    /// Characters of a server's message that are shown.
    const MOST: usize = 300;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let status = text("grpc-status")?;
    let code = match status {
        "0" => return None,
        "5" => Code::NotFound,
        "12" => Code::Unimplemented,
        "7" | "16" => Code::Denied,
        "4" | "8" | "14" => Code::Transient,
        _ => Code::Other,
    };
    let message = percent_decode_str(text("grpc-message").unwrap_or_default()).decode_utf8_lossy();
    let message: String = terminal::line(&message).chars().take(MOST).collect();
    let reason = format!("{message} (gRPC status {status})");
    if code == Code::Denied {
        return Some(denied(base, &reason));
    }
    let message = format!("Temporal at {} refuses the call: {reason}", shown(base));
    Some(CallError { code, message })
}

fn headers(args: &ConnectArgs, key: Option<&str>) -> Result<HeaderMap, Failure> {
    let invalid = |what: &str| Failure::new(Status::Usage, format_args!("{what} is not valid"));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    // Temporal Cloud finds the namespace of an API key by it.
    headers.insert(
        HeaderName::from_static("temporal-namespace"),
        args.namespace.parse().map_err(|_| invalid("--namespace"))?,
    );
    if let Some(key) = key {
        let bearer = Zeroizing::new(format!("Bearer {key}"));
        let mut value: HeaderValue = bearer.parse().map_err(|_| invalid("the API key"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn api_key(args: &ConnectArgs) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(file) = &args.api_key_file else {
        return Ok(variable(API_KEY).map(Zeroizing::new));
    };
    let bytes = read(file)?;
    let text = std::str::from_utf8(&bytes)
        .map(str::trim)
        .unwrap_or_default();
    if text.is_empty() {
        let message = format!("{}: it holds no API key", file.display());
        return Err(Failure::new(Status::Usage, message));
    }
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    fs::read(file).map(Zeroizing::new).map_err(|error| {
        let message = format!("{}: cannot read the file: {error}", file.display());
        Failure::new(Status::NoInput, message)
    })
}

/// An error with what is below it: `reqwest` says what failed, and the reason is in the chain.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(&error.to_string());
        below = error.source();
    }
    terminal::line(&text)
}

#[cfg(test)]
mod tests;
