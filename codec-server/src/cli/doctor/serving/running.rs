//! A running server: whether it answers as the configuration says, with the requests that a browser sends.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy, tls::TlsInfo};
use temporal_kms_codec_service::tls::{ClientCertificates, ExaminedTls, TlsSettings, expiry};

use super::{
    super::{
        super::exit::Status,
        endpoint::WebEndpoint,
        finding::{Check, Finding, Findings},
    },
    places::CodecUrl,
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// The headers that the Web UI sends, as a browser lists them.
const HEADERS: [&str; 4] = [
    "authorization",
    "authorization-extras",
    "content-type",
    "x-namespace",
];
/// No answer of this server to such a request is longer.
const MOST_BYTES: usize = 16 << 10;
/// Characters of an answer that are shown.
const MOST_SHOWN: usize = 300;

pub(super) struct Running<'a> {
    pub(super) url: &'a CodecUrl,
    /// Of a page that may call.
    pub(super) origin: Option<String>,
    pub(super) namespace: &'a str,
    pub(super) tls: Option<&'a TlsSettings>,
    pub(super) certificate: Option<&'a ExaminedTls>,
    pub(super) authenticates: bool,
}

impl Running<'_> {
    pub(super) async fn examine(&self, findings: &mut Findings) {
        let mut say = |finding: Finding| findings.push(finding.of_server(self.url));
        let asks_for_certificates = self.tls.is_some_and(|tls| {
            tls.client_ca.is_some() && tls.client_certificates == ClientCertificates::Required
        });
        if asks_for_certificates && self.url.is_secure() {
            return say(Finding::skipped(
                Check::Server,
                "not checked: the server asks every client for a certificate",
            ));
        }
        let Some(url) = self.url.of("decode", self.namespace) else {
            return say(Finding::failed(
                Check::Server,
                Status::Usage,
                "--server is not the URL of a server",
                "name it as the Web UI does",
            ));
        };
        let advice = "check that the codec server runs, and that --server names it as clients do";
        let Some(endpoint) = WebEndpoint::new(url.origin().ascii_serialization().as_str(), None)
        else {
            return;
        };
        let answer = endpoint.with_advice(advice).ask().await;
        let is_there = !answer.finding.is_failure();
        say(answer.finding.under(Check::Server));
        if !is_there {
            return;
        }
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .tls_info(true);
        let client = if self.url.is_local() {
            client.no_proxy()
        } else {
            client
        };
        let Ok(client) = client.build() else {
            return;
        };
        if let Some(origin) = &self.origin {
            let request = client
                .request(Method::OPTIONS, url.clone())
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", HEADERS.join(","));
            say(self.preflight(origin, request).await);
        } else {
            say(Finding::skipped(
                Check::Server,
                "preflight: not tried, because no web page may call; give the Web UI's address with --ui",
            ));
        }
        let mut request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-namespace", self.namespace)
            .body(r#"{"payloads":[]}"#);
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        for finding in self.request(request).await {
            say(finding);
        }
    }

    async fn preflight(&self, origin: &str, request: RequestBuilder) -> Finding {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return broken("preflight", &error),
        };
        let remedy = "reload the running server if its configuration is older than this file; a proxy in front of it must pass \
                      OPTIONS requests and the headers `Origin` and `Access-Control-…` on";
        let failed = |summary: String| {
            Finding::failed(Check::Server, Status::Configuration, summary, remedy)
        };
        let headers = answer.headers();
        if !answer.status().is_success() {
            return failed(format!("preflight: the answer is {}", answer.status()));
        }
        let allowed = text(headers, "access-control-allow-origin");
        if allowed != origin {
            let told = match allowed {
                "" => "no origin",
                _ => "another one",
            };
            return failed(format!(
                "preflight: the server allows {told} when {origin} asks"
            ));
        }
        let methods = text(headers, "access-control-allow-methods").to_ascii_uppercase();
        let names = text(headers, "access-control-allow-headers").to_ascii_lowercase();
        let missing: Vec<&str> = HEADERS
            .into_iter()
            .filter(|name| !has(&names, name))
            .collect();
        if !has(&methods, "POST") || !missing.is_empty() {
            return failed(format!(
                "preflight: a page at {origin} may not send {}",
                if missing.is_empty() {
                    "POST requests".to_owned()
                } else {
                    format!("the header {}", missing.join(", "))
                }
            ));
        }
        Finding::ok(
            Check::Server,
            format!("preflight: a page at {origin} may send what the Web UI sends"),
        )
    }

    /// The answer to a request without payloads, as the Web UI would send it.
    async fn request(&self, request: RequestBuilder) -> Vec<Finding> {
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return vec![broken("request", &error)],
        };
        let mut findings = Vec::new();
        findings.extend(self.shown_certificate(&answer));
        let status = answer.status();
        let is_readable = self
            .origin
            .as_deref()
            .is_none_or(|origin| text(answer.headers(), "access-control-allow-origin") == origin);
        let finding = match status {
            StatusCode::OK if self.authenticates => Finding::failed(
                Check::Server,
                Status::Configuration,
                "request: the running server answers everybody, and this configuration authenticates callers",
                "restart the server with this configuration, or correct --server",
            ),
            StatusCode::UNAUTHORIZED if !self.authenticates => Finding::warning(
                Check::Server,
                "request: something asks for authentication, and this configuration does not",
                "check whether a proxy authenticates callers, or the server has another configuration",
            ),
            StatusCode::OK | StatusCode::UNAUTHORIZED if !is_readable => Finding::failed(
                Check::Server,
                Status::Configuration,
                "request: the answer does not let the page read it",
                "let the proxy in front of the server pass the header `Access-Control-Allow-Origin` on",
            ),
            StatusCode::OK => Finding::ok(Check::Server, "request: it is answered"),
            StatusCode::UNAUTHORIZED => {
                Finding::ok(Check::Server, "request: the server asks who calls")
            }
            _ => {
                let said = said(&mut answer).await;
                Finding::failed(
                    Check::Server,
                    Status::Configuration,
                    format!("request: the answer is {status}{said}"),
                    "the log of the server has the reason; check that --server names a codec server",
                )
            }
        };
        findings.push(finding.with("http_status", status.as_u16()));
        findings
    }

    /// Whether the running server shows the certificate of the file.
    fn shown_certificate(&self, answer: &Response) -> Option<Finding> {
        let file = self.certificate?;
        let shown = answer.extensions().get::<TlsInfo>()?;
        let shown = shown.peer_certificate()?;
        if file.is_server(shown) {
            return Some(Finding::ok(
                Check::Server,
                "certificate: the server shows that of the file",
            ));
        }
        let expires = expiry(shown).map_or_else(String::new, |time| {
            let time = humantime::format_rfc3339_seconds(time);
            format!(", which expires on {time}")
        });
        Some(Finding::warning(
            Check::Server,
            format!("certificate: clients see another one than that of the file{expires}"),
            "look at the log and `/readyz` for a new certificate that could not be read, unless a proxy answers",
        ))
    }
}

fn broken(what: &str, error: &reqwest::Error) -> Finding {
    let why = if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection breaks"
    };
    Finding::failed(
        Check::Server,
        Status::Unavailable,
        format!("{what}: {why}"),
        "try again, and look at the log of the server",
    )
}

/// What an error says, in the form that this server has: a line of plain text.
async fn said(answer: &mut Response) -> String {
    if !text(answer.headers(), "content-type").starts_with("text/plain") {
        return String::new();
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            return String::new();
        }
    }
    let body = String::from_utf8_lossy(&body);
    match body.lines().next() {
        Some(line) => {
            let shown: String = line.chars().take(MOST_SHOWN).collect();
            format!(": {shown}")
        }
        None => String::new(),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// Whether a list with commas has a name.
fn has(list: &str, name: &str) -> bool {
    list.split(',')
        .any(|one| matches!(one.trim(), "*") || one.trim() == name)
}
