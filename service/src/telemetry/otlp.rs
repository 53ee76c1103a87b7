//! Sends traces and metrics by OTLP.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, filter::FilterFn};

use super::{
    config::TelemetryConfig,
    http_client::OtlpClient,
    metrics::{Metrics, Program},
    request_span::{CallersTraces, spans_are_sent},
};
use crate::log::TraceLayer;

/// The crates whose spans are sent. The spans of other libraries may hold what our rules forbid.
const OWN: [&str; 2] = ["temporal_kms", "claude_tasks"];

/// The most bytes of a file with headers.
const MOST_HEADERS: u64 = 16 << 10;

/// Traces and metrics cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// A file with headers cannot be used.
    #[error("telemetry.otlp_headers_file: {file}: {reason}")]
    Headers {
        /// The file.
        file: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The client cannot be made.
    #[error(
        "traces and metrics cannot be sent: {0}; check the certificate authorities of this machine (SSL_CERT_FILE, SSL_CERT_DIR)"
    )]
    Client(#[from] reqwest::Error),
    /// A setting does not fit.
    #[error(
        "traces and metrics cannot be sent: {0}; correct telemetry.otlp_endpoint or the variables OTEL_EXPORTER_OTLP_…"
    )]
    Exporter(#[from] ExporterBuildError),
}

/// What sends traces and metrics.
pub(super) struct Otlp {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tracer: Option<SdkTracerProvider>,
    callers: CallersTraces,
}

impl Otlp {
    /// Begins to send. It must be called in a runtime.
    pub(super) fn start(program: Program, config: &TelemetryConfig) -> Result<Self, OtlpError> {
        let headers = match &config.headers_file {
            Some(file) => headers(file)?,
            None => HashMap::new(),
        };
        let resource = resource(program);
        let tracer = match &config.traces {
            Some(target) => {
                let exporter = SpanExporter::builder()
                    .with_http()
                    .with_http_client(OtlpClient::new()?)
                    .with_headers(headers.clone())
                    .with_endpoint(target)
                    .build()?;
                let mut builder = SdkTracerProvider::builder()
                    .with_resource(resource.clone())
                    .with_batch_exporter(exporter);
                if let Some(ratio) = config.trace_ratio {
                    let own = Sampler::TraceIdRatioBased(ratio);
                    builder = builder.with_sampler(Sampler::ParentBased(Box::new(own)));
                }
                Some(builder.build())
            }
            None => None,
        };
        let exporter = match &config.metrics {
            Some(target) => Some(
                MetricExporter::builder()
                    .with_http()
                    .with_http_client(OtlpClient::new()?)
                    .with_headers(headers)
                    .with_endpoint(target)
                    .build()?,
            ),
            None => None,
        };
        let metrics = Metrics::with(program, |builder| {
            let builder = builder.with_resource(resource);
            match exporter {
                Some(exporter) => builder.with_periodic_exporter(exporter),
                None => builder,
            }
        });
        Ok(Self {
            metrics,
            tracer,
            callers: callers_traces(config),
        })
    }

    /// What turns our spans into traces.
    pub(super) fn layer(&self, program: Program) -> Option<TraceLayer> {
        let tracer = self.tracer.as_ref()?.tracer(program.name);
        spans_are_sent(self.callers);
        let own = FilterFn::new(is_own_span).with_max_level_hint(LevelFilter::DEBUG);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(own);
        Some(Box::new(layer))
    }
}

/// Without `trace_ratio`, the standard variables say how many traces are sent.
fn callers_traces(config: &TelemetryConfig) -> CallersTraces {
    if config.trust_parent_sampling {
        return CallersTraces::AsTheySay;
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    let named = || match variable("OTEL_TRACES_SAMPLER").as_str() {
        "parentbased_always_off" => 0.0,
        "parentbased_traceidratio" => variable("OTEL_TRACES_SAMPLER_ARG").parse().unwrap_or(1.0),
        // The others do not look at the caller's trace.
        _ => 1.0,
    };
    CallersTraces::Ratio(config.trace_ratio.unwrap_or_else(named))
}

/// Events are not sent: error texts are written for the log, which operators read.
fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && OWN.iter().any(|own| metadata.target().starts_with(own))
}

fn resource(program: Program) -> Resource {
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", program.version));
    // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read by the builder.
    let named = |name| std::env::var(name).is_ok_and(|value: String| !value.is_empty());
    let in_attributes = std::env::var("OTEL_RESOURCE_ATTRIBUTES")
        .is_ok_and(|attributes| attributes.contains("service.name="));
    if !named("OTEL_SERVICE_NAME") && !in_attributes {
        resource = resource.with_service_name(program.name);
    }
    resource.build()
}

/// The lines `NAME: VALUE` of a file.
fn headers(file: &Path) -> Result<HashMap<String, String>, OtlpError> {
    let wrong = |reason: String| OtlpError::Headers {
        file: file.display().to_string(),
        reason,
    };
    let unreadable =
        |error: io::Error| wrong(format!("{error}; name a file that this program may read"));
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > MOST_HEADERS {
        return Err(wrong(format!("it must have at most {MOST_HEADERS} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let mut headers = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()));
        let is_valid = pair.is_some_and(|(name, value)| {
            http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok()
        });
        match pair {
            Some((name, value)) if is_valid => {
                headers.insert(name.to_owned(), value.to_owned());
            }
            // The line is not repeated: it may be a secret.
            _ => {
                return Err(wrong(format!(
                    "line {} is not NAME: VALUE; correct the line",
                    number + 1
                )));
            }
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(
            &file,
            "# token\nAuthorization: Bearer s3cret\n\nx-scope: a:b\n",
        )
        .unwrap();
        let read = headers(&file).unwrap();
        assert_eq!(read["Authorization"], "Bearer s3cret");
        assert_eq!(read["x-scope"], "a:b");
        std::fs::write(&file, "x: y\nBearer s3cret\n").unwrap();
        let error = headers(&file).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && !error.contains("s3cret"),
            "{error}"
        );
        assert!(headers(&folder.path().join("none")).is_err());
    }

    #[test]
    fn every_error_names_its_setting_and_what_to_do() {
        // A new variant does not compile until it is here.
        let names = |error: &OtlpError| match error {
            OtlpError::Headers { .. } => ["telemetry.otlp_headers_file", "/none", "name a file"],
            OtlpError::Client(_) => ["traces and metrics", "builder", "SSL_CERT_FILE"],
            OtlpError::Exporter(_) => ["traces and metrics", "OTLP", "correct telemetry."],
        };
        let no_request = reqwest::Client::new().get("no URL").build();
        for error in [
            headers(Path::new("/none")).unwrap_err(),
            no_request.unwrap_err().into(),
            ExporterBuildError::InvalidConfiguration("OTLP: no URL".to_owned()).into(),
        ] {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }
}
