//! The HTTP client that sends traces and metrics.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// The longest that one attempt may take. `OTEL_EXPORTER_OTLP_TIMEOUT` can make it shorter.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read. A collector answers with a few.
const MOST: usize = 64 << 10;

/// Sends requests on a runtime. The exporters have threads of their own, outside of any runtime.
pub(super) struct OtlpClient {
    http: reqwest::Client,
    runtime: Handle,
}

impl OtlpClient {
    /// A client on the runtime of the caller.
    ///
    /// # Errors
    /// When the certificate authorities of the system cannot be read.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A redirect would send the headers elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            runtime: Handle::current(),
        })
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(send(http, request)).await;
        sent.map_err(std::io::Error::from)?
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MOST {
            return Err("the answer is too large".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").finish_non_exhaustive()
    }
}
