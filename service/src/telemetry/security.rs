//! The metrics of authentication, of the audit log and of certificates.

use std::{
    fmt,
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
        AUDIT_ANCHOR_FAILURES, AUDIT_ENABLED, AUDIT_FAILURES, AUDIT_LAST_ANCHOR, AUDIT_LINES,
        AUTHENTICATIONS, CERTIFICATE_EXPIRY, INSECURE,
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
    anchor_failures: Counter<u64>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    insecure: AtomicBool,
    audited: AtomicBool,
    last_anchor: Mutex<Option<SystemTime>>,
    certificates: Mutex<Vec<(&'static str, Expiry)>>,
}

/// Tells when a certificate expires.
type Expiry = Box<dyn Fn() -> Option<SystemTime> + Send + Sync>;

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
        instruments.gauge(&AUDIT_LAST_ANCHOR, move |seen| {
            if let Some(at) = *read.last_anchor.lock() {
                seen.set(seconds(at), &[]);
            }
        });
        let read = Arc::clone(&state);
        instruments.gauge(&CERTIFICATE_EXPIRY, move |seen| {
            for (listener, expiry) in &*read.certificates.lock() {
                if let Some(expiry) = expiry() {
                    seen.set(seconds(expiry), &[KeyValue::new("listener", *listener)]);
                }
            }
        });
        Self {
            labels: Arc::clone(labels),
            authentications: instruments.counter(&AUTHENTICATIONS),
            audit_lines: instruments.counter(&AUDIT_LINES),
            audit_failures: instruments.counter(&AUDIT_FAILURES),
            anchor_failures: instruments.counter(&AUDIT_ANCHOR_FAILURES),
            state,
        }
    }

    /// Says whether callers are served that are not authenticated.
    pub fn set_insecure(&self, insecure: bool) {
        self.state.insecure.store(insecure, Relaxed);
    }

    /// Counts a caller that was authenticated. `method` is a word of the program, such as `jwt`, and the issuer is one of
    /// the configuration.
    pub fn authenticated(&self, method: &'static str, issuer: Option<&str>) {
        if let Some(issuer) = issuer {
            self.labels.learn_issuer(issuer);
        }
        self.count(method, issuer, "ok");
    }

    /// Counts a caller that was not authenticated. `reason` is a word of the program. The issuer that the caller names is
    /// not known to be one.
    pub fn not_authenticated(&self, reason: &'static str) {
        self.count("none", None, reason);
    }

    fn count(&self, method: &'static str, issuer: Option<&str>, result: &'static str) {
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
            self.anchor_failures.add(0, &[]);
        }
    }

    /// Counts lines that were written to the audit log.
    pub fn audit_written(&self, lines: u64) {
        self.audit_lines.add(lines, &[]);
    }

    /// Counts lines that could not be written to the audit log. `reason` is a word of the program.
    pub fn audit_failed(&self, reason: &'static str, lines: u64) {
        self.audit_failures
            .add(lines, &[KeyValue::new("reason", reason)]);
    }

    /// Counts anchors of the audit log that could not be signed.
    pub fn anchors_failed(&self, anchors: u64) {
        self.anchor_failures.add(anchors, &[]);
    }

    /// Says when the audit log was last anchored, if it was.
    pub fn set_last_anchor(&self, at: Option<SystemTime>) {
        *self.state.last_anchor.lock() = at;
    }

    /// Asks `expiry` when the certificate of a listener expires, each time that the metrics are read.
    pub fn watch_certificate(
        &self,
        listener: &'static str,
        expiry: impl Fn() -> Option<SystemTime> + Send + Sync + 'static,
    ) {
        let mut certificates = self.state.certificates.lock();
        certificates.retain(|(name, _)| *name != listener);
        certificates.push((listener, Box::new(expiry)));
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
