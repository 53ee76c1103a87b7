//! Whether a server answers at the service's address, and which time it tells.

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use reqwest::{Client, Url, header::DATE, redirect::Policy};
use temporal_kms_codec::{
    KeyUri,
    kms::{self, Diagnose, Kms},
};
use tokio::time::Instant;

use super::{
    super::exit::Status,
    advice,
    certificate_fault::CertificateFault,
    clock,
    finding::{Check, Finding},
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the codec refuses the endpoint that is configured for the key's service, before it calls anything.
pub(super) async fn refused(key: &KeyUri, kms: &Kms, service: &dyn Diagnose) -> Option<Finding> {
    let kms::Endpoint::Web {
        setting: Some(setting),
        is_refused: true,
        ..
    } = service.endpoint(key)
    else {
        return None;
    };
    let reason = kms.key(key).await.err()?;
    Some(Finding::failed(
        Check::Endpoint,
        advice::exit(&reason),
        reason.summary(),
        format!("correct {setting}, or remove it to use the public service"),
    ))
}

/// Where a service is reached over HTTP.
pub(super) struct WebEndpoint {
    url: Url,
    /// What named it, if it is not the public one.
    setting: Option<&'static str>,
    /// What to do when it does not answer, where that is not about a key service.
    advice: Option<&'static str>,
}

/// The result of the request.
pub(super) struct Answer {
    pub(super) finding: Finding,
    /// By how many seconds the service's clock is ahead.
    pub(super) skew: Option<i64>,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    Unresolved,
    Refused,
    TimedOut,
    Tls(Option<CertificateFault>),
    Broken,
}

impl WebEndpoint {
    /// `None` without a valid URL.
    pub(super) fn new(url: &str, setting: Option<&'static str>) -> Option<Self> {
        let url = url.parse().ok()?;
        Some(Self {
            url,
            setting,
            advice: None,
        })
    }

    /// What to do when it does not answer.
    pub(super) fn with_advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// One small request without credentials.
    pub(super) async fn ask(&self) -> Answer {
        let (before, start) = (SystemTime::now(), Instant::now());
        match self.head().await {
            Ok(date) => {
                let took = start.elapsed();
                let skew = date.map(|date| clock::skew(date, before, SystemTime::now()));
                let summary = format!("{self} answers in {} ms", took.as_millis());
                let finding = Finding::ok(Check::Endpoint, summary);
                Answer {
                    finding: finding
                        .with("url", self.to_string())
                        .with("milliseconds", super::latency::millis(took)),
                    skew,
                }
            }
            Err(silence) => Answer {
                finding: self.silent(silence).with("url", self.to_string()),
                skew: None,
            },
        }
    }

    async fn head(&self) -> Result<Option<SystemTime>, Silence> {
        let builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        let builder = if self.url.scheme() == "http" {
            builder.no_proxy()
        } else {
            builder
        };
        let client = builder.build().map_err(|_| Silence::Tls(None))?;
        let answered = client.head(self.url.clone()).send().await;
        match answered {
            Ok(answer) => {
                let date = answer.headers().get(DATE);
                let date = date.and_then(|date| date.to_str().ok());
                Ok(date.and_then(|date| httpdate::parse_http_date(date).ok()))
            }
            Err(error) if error.is_timeout() => Err(Silence::TimedOut),
            Err(error) => Err(match CertificateFault::of(&error) {
                Some(fault) => Silence::Tls(Some(fault)),
                None => self.why().await,
            }),
        }
    }

    /// What exactly does not work, step by step.
    async fn why(&self) -> Silence {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default().unwrap_or(443);
        let connect = async {
            let addresses: Vec<_> = match tokio::net::lookup_host((host, port)).await {
                Ok(found) => found.collect(),
                Err(_) => return Silence::Unresolved,
            };
            match tokio::net::TcpStream::connect(addresses.as_slice()).await {
                Ok(_) if self.url.scheme() == "https" => Silence::Tls(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Silence::Refused,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => Silence::TimedOut,
                _ => Silence::Broken,
            }
        };
        tokio::time::timeout(TIMEOUT, connect)
            .await
            .unwrap_or(Silence::TimedOut)
    }

    fn silent(&self, silence: Silence) -> Finding {
        let what = match silence {
            Silence::Unresolved => "its name cannot be resolved",
            Silence::Refused => "the connection is refused",
            Silence::TimedOut => "it does not answer in time",
            Silence::Tls(None) => "TLS fails",
            Silence::Tls(Some(fault)) => fault.what(),
            Silence::Broken => "the connection breaks",
        };
        let remedy = match (silence, self.setting) {
            (Silence::Tls(Some(fault)), _) => fault.remedy().to_owned(),
            (Silence::Tls(None), _) => {
                "check which certificate it shows, and that this machine trusts its issuer; a proxy may be on the way"
                    .to_owned()
            }
            _ if self.advice.is_some() => self.advice.unwrap_or_default().to_owned(),
            (_, Some(setting)) => format!(
                "check that the service runs there and that {setting} names it, or leave the setting out for the public service"
            ),
            (Silence::Unresolved, None) => {
                "check this machine's DNS and network; behind a proxy set HTTPS_PROXY".to_owned()
            }
            (_, None) => format!(
                "let this machine reach {} on port {}: check firewall, routes and HTTPS_PROXY",
                self.url.host_str().unwrap_or_default(),
                self.url.port_or_known_default().unwrap_or(443),
            ),
        };
        Finding::failed(
            Check::Endpoint,
            Status::Unavailable,
            format!("{self} is unreachable: {what}"),
            remedy,
        )
    }
}

/// Without a path, which tells nothing.
impl fmt::Display for WebEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_there_is_told_from_a_name_that_is_none() {
        let ask = |url: &str| {
            let endpoint = WebEndpoint {
                url: url.parse().unwrap(),
                setting: None,
                advice: None,
            };
            async move { endpoint.head().await }
        };
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        assert_eq!(
            ask(&format!("http://{address}")).await,
            Err(Silence::Refused)
        );
        assert_eq!(ask("http://kms.invalid").await, Err(Silence::Unresolved));
    }
}
