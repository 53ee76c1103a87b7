//! The section as it is written, and where each signal goes with the variables over it.

use std::path::PathBuf;

use http::Uri;
use temporal_kms_codec::endpoint::is_loopback;

use super::TelemetryConfig;
use crate::settings::{Section, values};

/// `OTEL_EXPORTER_OTLP_ENDPOINT` and what it says for both signals.
pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(super) const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
pub(super) const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
pub(super) const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The one protocol that is spoken.
const HTTP_PROTOBUF: &str = "http/protobuf";

/// A variable and what is wrong with it.
pub(super) type Mistake = (String, String);

/// The section as it is written.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of the section"
)]
pub(super) struct Written {
    endpoint: Option<String>,
    headers_file: Option<PathBuf>,
    traces: bool,
    metrics: bool,
    trace_ratio: Option<f64>,
    trust_parent_sampling: bool,
    key_ages: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers_file: None,
            traces: true,
            metrics: true,
            trace_ratio: None,
            trust_parent_sampling: false,
            key_ages: true,
        }
    }
}

impl Written {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut written = Self {
            endpoint: section.text("otlp_endpoint", endpoint),
            ..Self::default()
        };
        written.headers_file = section.text("otlp_headers_file", values::absolute_path);
        section.set("traces", &mut written.traces, values::flag);
        section.set("metrics", &mut written.metrics, values::flag);
        written.trace_ratio = section.text("trace_ratio", ratio);
        let trust = &mut written.trust_parent_sampling;
        section.set("trust_parent_sampling", trust, values::flag);
        section.set("key_ages", &mut written.key_ages, values::flag);
        let sends_secrets = written.headers_file.is_some();
        if sends_secrets
            && written
                .endpoint
                .as_deref()
                .is_some_and(is_readable_on_the_way)
        {
            section.report(
                "the headers of `otlp_headers_file` must not be sent unencrypted to another machine; use an https:// \
                 `otlp_endpoint`",
            );
        }
        written
    }

    pub(super) fn resolve(
        self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> (TelemetryConfig, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut config = TelemetryConfig {
            headers_file: self.headers_file.clone(),
            trace_ratio: self.trace_ratio,
            trust_parent_sampling: self.trust_parent_sampling,
            key_ages: self.key_ages,
            ..TelemetryConfig::default()
        };
        if variable("OTEL_TRACES_SAMPLER").is_some() {
            config.trace_ratio = None;
        } else {
            config.trace_ratio.get_or_insert(1.0);
        }
        if variable(DISABLED).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return (config, mistakes);
        }
        for (signal, wanted, target) in [
            ("TRACES", self.traces, &mut config.traces),
            ("METRICS", self.metrics, &mut config.metrics),
        ] {
            if wanted {
                *target = self.target(signal, variable, &mut mistakes);
            }
        }
        (config, mistakes)
    }

    /// The URL of one signal.
    fn target(
        &self,
        signal: &str,
        variable: &dyn Fn(&str) -> Option<String>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<String> {
        let exporter = format!("OTEL_{signal}_EXPORTER");
        match variable(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(_) => {
                let message = "expected otlp or none; this program has no other exporter";
                mistakes.push((exporter, message.to_owned()));
                return None;
            }
        }
        let own_endpoint = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let path = format!("v1/{}", signal.to_lowercase());
        let (source, target) = if let Some(own) = variable(&own_endpoint) {
            (own_endpoint, endpoint(&own))
        } else if let Some(base) = variable(ENDPOINT) {
            let target = endpoint(&base).map(|base| join(&base, &path));
            (ENDPOINT.to_owned(), target)
        } else {
            return self.endpoint.as_deref().map(|base| join(base, &path));
        };
        let own_protocol = format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL");
        for name in [own_protocol, PROTOCOL.to_owned()] {
            if let Some(protocol) = variable(&name) {
                if protocol != HTTP_PROTOBUF {
                    let message = format!(
                        "expected {HTTP_PROTOBUF}, which collectors take on port 4318; no other protocol is spoken"
                    );
                    mistakes.push((name, message));
                    return None;
                }
                break;
            }
        }
        match target {
            Ok(target) => {
                let own_headers = format!("OTEL_EXPORTER_OTLP_{signal}_HEADERS");
                let headers = [own_headers, HEADERS.to_owned()];
                let set = headers.into_iter().find(|name| variable(name).is_some());
                if let Some(name) = set.filter(|_| is_readable_on_the_way(&target)) {
                    let message = format!(
                        "headers must not be sent unencrypted to another machine; set {source} to an https:// URL"
                    );
                    mistakes.push((name, message));
                    return None;
                }
                Some(target)
            }
            Err(message) => {
                mistakes.push((source, message));
                None
            }
        }
    }
}

fn join(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// Whether others can read what is sent there.
fn is_readable_on_the_way(url: &str) -> bool {
    url.parse::<Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback))
}

/// The URL of a collector. Traces and metrics hold no secrets, so `http://` is allowed to any host.
fn endpoint(text: &str) -> Result<String, String> {
    let wrong =
        || "expected a URL such as http://127.0.0.1:4318 or https://HOST:PORT/PATH".to_owned();
    let uri: Uri = text.trim().parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if uri.query().is_none() => {
            if authority.as_str().contains('@') {
                return Err(
                    "it must hold no user name and no password; use `otlp_headers_file`".to_owned(),
                );
            }
            Ok(text.trim().to_owned())
        }
        _ => Err(wrong()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("expected a number from \"0\" to \"1\" in quotes, such as \"0.1\"".to_owned()),
    }
}
