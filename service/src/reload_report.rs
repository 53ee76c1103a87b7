//! Tells operators how each reload of a configuration went.

use std::{fmt, sync::Arc};

use temporal_kms_codec::audit::{AuditLog, Event};

use crate::{
    lifecycle::{Condition, NeedsRestart, Readiness, Reloads},
    telemetry::Metrics,
};

/// The condition of readiness that tells of the newest configuration.
const CONFIGURATION: &str = "configuration";

/// Tells of each reload in the log, in readiness, in the metrics and in the audit log.
pub struct ReloadReport {
    reloads: Arc<Reloads>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    audit: Option<Arc<AuditLog>>,
}

impl ReloadReport {
    /// The reports of a server. Its first configuration is served.
    #[must_use]
    pub fn new(
        reloads: Arc<Reloads>,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
        audit: Option<Arc<AuditLog>>,
    ) -> Self {
        readiness.set(CONFIGURATION, Condition::Met);
        metrics.process().configuration_loaded();
        Self {
            reloads,
            readiness,
            metrics,
            audit,
        }
    }

    /// Another configuration is served from now on.
    pub fn succeeded(&self, needs_restart: &NeedsRestart) {
        let generation = self.reloads.succeeded();
        self.note(
            Event::new("reload")
                .text("result", "ok")
                .number("generation", generation),
        );
        self.readiness
            .set(CONFIGURATION, condition(needs_restart.settings()));
        for setting in needs_restart.settings() {
            tracing::warn!(
                setting,
                "this setting has changed and takes effect after a restart"
            );
        }
        tracing::info!(generation, "the configuration is read again and in use");
        self.metrics.process().configuration_loaded();
    }

    /// The newest configuration cannot be used, and the one before it is still served.
    pub fn refused(&self, error: &dyn fmt::Display) {
        let error = error.to_string();
        for problem in error.lines() {
            tracing::error!(problem, "the changed configuration cannot be used");
        }
        tracing::error!("nothing has changed: the configuration before is still in use");
        self.reloads.failed(&error);
        self.metrics.process().configuration_refused();
        self.note(
            Event::new("reload")
                .text("result", "refused")
                .text("error", &error),
        );
        let reason = "the changed configuration cannot be used, and the one before is served; the log says why";
        let degraded = Condition::Degraded(reason.to_owned());
        self.readiness.set(CONFIGURATION, degraded);
    }

    /// Writes a line into the audit log, where there is one.
    pub fn note(&self, event: Event) {
        if let Some(log) = &self.audit {
            log.note(event);
        }
    }
}

fn condition(needs_restart: &[&str]) -> Condition {
    if needs_restart.is_empty() {
        Condition::Met
    } else {
        let reason = "changed settings take effect after a restart; the log names them";
        Condition::Degraded(reason.to_owned())
    }
}
