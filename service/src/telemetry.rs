//! Metrics for Prometheus, and traces and metrics by OTLP.
//!
//! [`Metrics`] has every metric of a program. [`CATALOGUE`] lists them with their names and labels: the documentation, the
//! dashboards and the alert rules are tested against it. The values of labels come from the configuration only.
//! [`RequestSpan`] is the span of a request, and continues the trace of its caller. [`Telemetry`] starts everything
//! as [`TelemetryConfig`] says.

mod catalogue;
mod config;
mod data_keys;
mod ended_request;
#[cfg(feature = "otlp")]
mod http_client;
mod instruments;
mod key_ages;
mod kms_calls;
mod labels;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod process;
mod request_counts;
mod request_span;
mod requests;
mod security;
mod start;
#[cfg(test)]
mod tests;

#[cfg(feature = "otlp")]
pub use otlp::OtlpError;
pub use {
    catalogue::{CATALOGUE, MetricInfo, MetricKind, Unit},
    config::TelemetryConfig,
    ended_request::EndedRequest,
    key_ages::PrimaryVersion,
    metrics::{Metrics, PROMETHEUS_TEXT, Program},
    process::ProcessMetrics,
    request_span::RequestSpan,
    requests::{InFlight, RequestMetrics, ShedReason},
    security::SecurityMetrics,
    start::Telemetry,
};
