//! Tells readiness and metrics whether the audit log can be written.

use std::{sync::Arc, time::Duration};

use temporal_kms_codec::audit::{AuditLog, AuditStats};
use tokio::time::sleep;

use crate::{
    lifecycle::{Condition, Readiness},
    telemetry::Metrics,
};

/// How often the state of the log is looked at.
const PAUSE: Duration = Duration::from_secs(1);

const UNSIGNED: &str =
    "the audit log is written, but the key cannot sign its anchors; the log says why";

/// What happens in a program whose audit log cannot be written, for the reason that readiness gives.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "each program says both")]
pub struct Unwritable {
    /// Where the log's failure stops the work, such as `so requests are refused`.
    pub refuses: &'static str,
    /// Where the work goes on, such as `and requests are served`.
    pub continues: &'static str,
}

impl Unwritable {
    /// The condition of a log. A problem's own text can name a path, so it is in the program's log only.
    fn condition(self, log: &AuditLog) -> Condition {
        let reason =
            |what: &str| format!("the audit log cannot be written, {what}; the log says why");
        let refuses = log.check().is_err();
        match log.problem() {
            None if log.stats().anchors_fail => Condition::Degraded(UNSIGNED.to_owned()),
            None => Condition::Met,
            Some(_) if refuses => Condition::Unmet(reason(self.refuses)),
            Some(_) => Condition::Degraded(reason(self.continues)),
        }
    }
}

/// Looks at the log until the task is aborted.
pub async fn watch_audit(
    log: Arc<AuditLog>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    unwritable: Unwritable,
) {
    let mut counted = AuditStats::default();
    metrics.security().set_audited(true);
    loop {
        let stats = log.stats();
        count(&metrics, &counted, &stats);
        counted = stats;
        readiness.set("audit", unwritable.condition(&log));
        sleep(PAUSE).await;
    }
}

/// Counts what the log did since the last look.
fn count(metrics: &Metrics, before: &AuditStats, now: &AuditStats) {
    let security = metrics.security();
    security.audit_written(now.lines.saturating_sub(before.lines));
    let missing = now.missing.saturating_sub(before.missing);
    if missing > 0 {
        security.audit_failed("not_written", missing);
    }
    security.anchors_failed(now.anchor_failures.saturating_sub(before.anchor_failures));
    security.set_last_anchor(now.last_anchor.map(|(_, at)| at));
}
