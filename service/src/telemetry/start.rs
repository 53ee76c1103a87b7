//! Starts the log, the traces and the metrics of a server, and ends them.

use std::sync::Arc;
#[cfg(feature = "otlp")]
use std::time::Duration;

#[cfg(feature = "otlp")]
use tokio::time::timeout;

use super::{
    config::TelemetryConfig,
    metrics::{Metrics, Program},
};
use crate::{
    exit::{Failure, Status},
    log::{EarlyLog, LogControl},
};

/// How long the end of a program waits for the last traces and metrics.
#[cfg(feature = "otlp")]
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// The traces and metrics of a server that runs.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    log: Option<LogControl>,
    #[cfg(feature = "otlp")]
    tracer: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Telemetry {
    /// Starts everything, and makes `log`, if there is one, the log of the process. It must be called in a runtime.
    ///
    /// # Errors
    /// When traces or metrics cannot be sent as the configuration says.
    pub fn start(
        program: Program,
        config: &TelemetryConfig,
        log: Option<EarlyLog>,
    ) -> Result<Self, Failure> {
        if !config.exports() {
            return Ok(Self {
                metrics: Metrics::new(program),
                log: log.map(|log| log.finish(None)),
                #[cfg(feature = "otlp")]
                tracer: None,
            });
        }
        Self::start_export(program, config, log)
    }

    #[cfg(feature = "otlp")]
    fn start_export(
        program: Program,
        config: &TelemetryConfig,
        log: Option<EarlyLog>,
    ) -> Result<Self, Failure> {
        let otlp = super::otlp::Otlp::start(program, config)
            .map_err(|error| Failure::new(Status::Configuration, error))?;
        let traces = otlp.layer(program);
        Ok(Self {
            log: log.map(|log| log.finish(traces)),
            metrics: otlp.metrics,
            tracer: otlp.tracer,
        })
    }

    #[cfg(not(feature = "otlp"))]
    fn start_export(
        _: Program,
        config: &TelemetryConfig,
        _: Option<EarlyLog>,
    ) -> Result<Self, Failure> {
        let faults = crate::settings::Problems::of_faults(config.faults());
        Err(faults.err().map_or_else(
            || {
                Failure::new(
                    Status::Configuration,
                    "this build cannot send traces and metrics",
                )
            },
            Failure::from,
        ))
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What changes the level of the log, where this is the log of the process.
    #[must_use]
    pub fn log(&self) -> Option<&LogControl> {
        self.log.as_ref()
    }

    /// Sends what is not sent yet, and ends. It waits for a short time only.
    pub async fn finish(self) {
        #[cfg(feature = "otlp")]
        {
            let Self {
                metrics, tracer, ..
            } = self;
            // The exporters have threads of their own, and these calls wait for them.
            let ending = tokio::task::spawn_blocking(move || {
                if let Some(tracer) = tracer {
                    let _ = tracer.shutdown_with_timeout(LAST_EXPORT);
                }
                let _ = metrics.provider().shutdown_with_timeout(LAST_EXPORT);
            });
            if timeout(LAST_EXPORT, ending).await.is_err() {
                tracing::warn!(
                    "the last traces and metrics may be lost: the collector did not take them in time"
                );
            }
        }
    }
}
