//! `[telemetry]`: where traces and metrics are sent by OTLP. The standard variables of OpenTelemetry override it.

mod written;

use std::path::PathBuf;

use self::written::Written;
use crate::settings::{Document, Fault};

const SECTION: &str = "telemetry";

/// What is sent by OTLP, and where.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector, such as `http://127.0.0.1:4318`. `/v1/traces` and `/v1/metrics` are added | |
/// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | the whole URL of one signal | |
/// | `OTEL_EXPORTER_OTLP_HEADERS` | headers such as `authorization=Bearer …` | |
/// | `OTEL_EXPORTER_OTLP_PROTOCOL` | how they are sent: `http/protobuf` only | `http/protobuf` |
/// | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` | `none`: this signal is not sent | `otlp` |
/// | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | which traces are sent | `parentbased_always_on` |
/// | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_BSP_SCHEDULE_DELAY` | how often metrics and traces are sent, in milliseconds | `60000`, `5000` |
/// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | how the service is called | the name of the program |
/// | `OTEL_SDK_DISABLED` | `true`: nothing is sent | `false` |
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// The URL that traces are sent to; `None` sends none.
    pub traces: Option<String>,
    /// The URL that metrics are sent to; `None` sends none.
    pub metrics: Option<String>,
    /// `otlp_headers_file`: a file with a line `NAME: VALUE` for each header, such as a token of the collector.
    pub headers_file: Option<PathBuf>,
    /// `trace_ratio`: the part of traces that begin here and are sent, from 0 to 1. `None` leaves it to
    /// `OTEL_TRACES_SAMPLER`. Default: 1.
    pub trace_ratio: Option<f64>,
    /// `trust_parent_sampling`: whether a caller that sends a trace decides whether the trace is sent. Otherwise
    /// `trace_ratio` decides for its traces, too: callers could have everything sent, or nothing. Default: no.
    pub trust_parent_sampling: bool,
    /// `key_ages`: whether key services are asked how old the keys are. Default: yes.
    pub key_ages: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            traces: None,
            metrics: None,
            headers_file: None,
            trace_ratio: None,
            trust_parent_sampling: false,
            key_ages: true,
        }
    }
}

impl TelemetryConfig {
    /// The section, with the standard variables of OpenTelemetry over it.
    #[must_use]
    pub fn read(document: &Document<'_>) -> Self {
        let mut section = document.section(SECTION);
        let written = Written::read(&mut section);
        section.finish();
        let (config, mistakes) = written.resolve(&|name| variable(document.environment(), name));
        for (name, message) in mistakes {
            document.report_variable(&name, SECTION, message);
        }
        config
    }

    /// What the standard variables say, for a program without a configuration file.
    ///
    /// # Errors
    /// Every mistake in the variables.
    pub fn from_variables(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (config, mistakes) = Written::default().resolve(&|name| variable(environment, name));
        if mistakes.is_empty() {
            return Ok(config);
        }
        let lines = mistakes.iter();
        let lines = lines.map(|(name, message)| format!("{name}: {message}"));
        Err(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Whether anything is sent.
    #[must_use]
    pub fn exports(&self) -> bool {
        self.traces.is_some() || self.metrics.is_some()
    }

    /// Settings that this build cannot follow, and files that are named and do not exist.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.exports() && !cfg!(feature = "otlp") {
            faults.push(Fault::new(
                "telemetry.otlp_endpoint",
                "this build cannot send traces and metrics; build it with the feature `otlp`",
            ));
        }
        if let Some(file) = self.headers_file.as_ref().filter(|file| !file.is_file()) {
            faults.push(Fault::new(
                "telemetry.otlp_headers_file",
                format!("{} is not a file", file.display()),
            ));
        }
        faults
    }
}

fn variable(environment: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::{
        written::{DISABLED, ENDPOINT, HEADERS, PROTOCOL},
        *,
    };
    use crate::settings::Settings;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<TelemetryConfig, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let settings = Settings::new("CODEC_");
        let read = settings.parse(Some(text), &environment, TelemetryConfig::read);
        read.map_err(|problems| format!("{problems:?}"))
    }

    #[test]
    fn nothing_is_sent_by_default() {
        let config = read("", &[]).unwrap();
        assert!(!config.exports());
        assert_eq!(config.trace_ratio, Some(1.0));
        assert!(config.key_ages && !config.trust_parent_sampling);
    }

    #[test]
    fn the_standard_variables_override_the_file() {
        let file =
            "[telemetry]\notlp_endpoint = \"https://file:4318/base/\"\ntrace_ratio = \"0.25\"";
        let config = read(file, &[]).unwrap();
        assert_eq!(
            config.traces.as_deref(),
            Some("https://file:4318/base/v1/traces")
        );
        assert_eq!(
            config.metrics.as_deref(),
            Some("https://file:4318/base/v1/metrics")
        );
        assert_eq!(config.trace_ratio, Some(0.25));

        let variables = [
            (ENDPOINT, "http://agent:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://tempo:4318/x"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
        ];
        let config = read(file, &variables).unwrap();
        assert_eq!(config.traces.as_deref(), Some("http://tempo:4318/x"));
        assert_eq!(
            config.metrics.as_deref(),
            Some("http://agent:4318/v1/metrics")
        );
        assert_eq!(config.trace_ratio, None);

        let config = read(file, &[("OTEL_METRICS_EXPORTER", "none")]).unwrap();
        assert!(config.traces.is_some() && config.metrics.is_none());
        assert!(!read(file, &[(DISABLED, "TRUE")]).unwrap().exports());
        let config = read(&format!("{file}\ntraces = false"), &[]).unwrap();
        assert!(config.traces.is_none() && config.metrics.is_some());
    }

    #[test]
    fn every_mistake_says_what_to_do() {
        for (file, variables, remedy) in [
            (
                "otlp_endpoint = \"collector:4318\"",
                &[][..],
                "expected a URL",
            ),
            (
                "otlp_endpoint = \"https://u:p@c\"",
                &[],
                "otlp_headers_file",
            ),
            ("trace_ratio = \"2\"", &[], "from \\\"0\\\" to"),
            (
                "otlp_endpoint = \"http://c:4318\"\notlp_headers_file = \"/x\"",
                &[],
                "use an https://",
            ),
            (
                "",
                &[(ENDPOINT, "http://c:4318"), (PROTOCOL, "grpc")],
                "port 4318",
            ),
            (
                "",
                &[(ENDPOINT, "http://c:4318"), (HEADERS, "a=b")],
                "https:// URL",
            ),
            (
                "",
                &[("OTEL_TRACES_EXPORTER", "jaeger")],
                "expected otlp or none",
            ),
        ] {
            let error = read(&format!("[telemetry]\n{file}"), variables).unwrap_err();
            assert!(error.contains(remedy), "{error}");
        }
        let local = [(ENDPOINT, "http://127.0.0.1:4318"), (HEADERS, "a=b")];
        assert!(read("", &local).unwrap().exports());
    }
}
