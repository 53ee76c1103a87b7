//! The metrics of authentication, of the audit log and of certificates.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

use opentelemetry::{KeyValue, metrics::Counter};
use parking_lot::Mutex;

use super::{
    catalogue::{
        AUDIT_ENABLED, AUDIT_FAILURES, AUDIT_LINES, AUTHENTICATIONS, CERTIFICATE_EXPIRY, INSECURE,
    },
    instruments::Instruments,
    labels::Labels,
    process::{seconds, truth},
};

/// The metrics of authentication, of the audit log and of certificates.
#[derive(Debug)]
pub struct SecurityMetrics {
    labels: Arc<Labels>,
    authentications: Counter<u64>,
    audit_lines: Counter<u64>,
    audit_failures: Counter<u64>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    insecure: AtomicBool,
    audited: AtomicBool,
    certificates: Mutex<Vec<(&'static str, SystemTime)>>,
}

impl SecurityMetrics {
    pub(super) fn new(instruments: &Instruments<'_>, labels: &Arc<Labels>) -> Self {
        let state = Arc::<State>::default();
        let read = Arc::clone(&state);
        instruments.gauge(&INSECURE, move |seen| {
            seen.set(truth(read.insecure.load(Relaxed)), &[]);
        });
        let read = Arc::clone(&state);
        instruments.gauge(&AUDIT_ENABLED, move |seen| {
            seen.set(truth(read.audited.load(Relaxed)), &[]);
        });
        let read = Arc::clone(&state);
        instruments.gauge(&CERTIFICATE_EXPIRY, move |seen| {
            for (listener, expiry) in &*read.certificates.lock() {
                seen.set(seconds(*expiry), &[KeyValue::new("listener", *listener)]);
            }
        });
        Self {
            labels: Arc::clone(labels),
            authentications: instruments.counter(&AUTHENTICATIONS),
            audit_lines: instruments.counter(&AUDIT_LINES),
            audit_failures: instruments.counter(&AUDIT_FAILURES),
            state,
        }
    }

    /// Says whether callers are served that are not authenticated.
    pub fn set_insecure(&self, insecure: bool) {
        self.state.insecure.store(insecure, Relaxed);
    }

    /// Names the issuers of the configuration. Others are counted as `other`.
    pub fn set_issuers(&self, issuers: impl IntoIterator<Item = String>) {
        self.labels.set_issuers(issuers);
    }

    /// Counts a caller. `method` is how it authenticates, such as `jwt`, and `result` is `ok` or why it was refused. Both
    /// are words of the program. The issuer is of the configuration or `None`.
    pub fn authenticated(&self, method: &'static str, issuer: Option<&str>, result: &'static str) {
        self.authentications.add(
            1,
            &[
                KeyValue::new("method", method),
                KeyValue::new("issuer", self.labels.issuer(issuer)),
                KeyValue::new("result", result),
            ],
        );
    }

    /// Says whether there is an audit log.
    pub fn set_audited(&self, audited: bool) {
        self.state.audited.store(audited, Relaxed);
        if audited {
            self.audit_lines.add(0, &[]);
        }
    }

    /// Counts lines that were written to the audit log.
    pub fn audit_written(&self, lines: usize) {
        self.audit_lines.add(lines as u64, &[]);
    }

    /// Counts a line that could not be written to the audit log. `reason` is a word of the program, such as `full`.
    pub fn audit_failed(&self, reason: &'static str) {
        self.audit_failures
            .add(1, &[KeyValue::new("reason", reason)]);
    }

    /// Says when the certificate of a listener expires. It replaces what was said of that listener before.
    pub fn set_certificate_expiry(&self, listener: &'static str, expiry: SystemTime) {
        let mut certificates = self.state.certificates.lock();
        certificates.retain(|(name, _)| *name != listener);
        certificates.push((listener, expiry));
    }
}
