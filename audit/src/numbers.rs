//! The running numbers of a log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use parking_lot::Mutex;

/// What a log has done since it was opened. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// Lines that were written, without those that the log writes about itself.
    pub lines: u64,
    /// Lines that could not be written.
    pub missing: u64,
    /// Signed anchors.
    pub anchors: u64,
    /// Anchors that could not be signed.
    pub anchor_failures: u64,
    /// The last line that is anchored, and when that was.
    pub last_anchor: Option<(u64, SystemTime)>,
    /// Whether the newest anchor could not be signed.
    pub anchors_fail: bool,
}

/// Why a log cannot be written.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Arc<str>);

/// The running numbers of a log.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    lines: AtomicU64,
    missing: AtomicU64,
    anchors: AtomicU64,
    anchor_failures: AtomicU64,
    last_anchor: Mutex<Option<(u64, SystemTime)>>,
    anchors_fail: AtomicBool,
    is_failing: AtomicBool,
    problem: Mutex<Option<Problem>>,
}

impl Numbers {
    pub(crate) fn stats(&self) -> AuditStats {
        AuditStats {
            lines: self.lines.load(Relaxed),
            missing: self.missing(),
            anchors: self.anchors.load(Relaxed),
            anchor_failures: self.anchor_failures.load(Relaxed),
            last_anchor: *self.last_anchor.lock(),
            anchors_fail: self.anchors_fail.load(Relaxed),
        }
    }

    pub(crate) fn missing(&self) -> u64 {
        self.missing.load(Relaxed)
    }

    pub(crate) fn are_failing(&self) -> bool {
        self.is_failing.load(Relaxed)
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .as_ref()
            .map(|Problem(why)| why.to_string())
    }

    pub(crate) fn written(&self, lines: u64) {
        self.lines.fetch_add(lines, Relaxed);
    }

    pub(crate) fn failed(&self, missing: u64, problem: Problem) {
        self.missing.fetch_add(missing, Relaxed);
        *self.problem.lock() = Some(problem);
        self.is_failing.store(true, Relaxed);
    }

    pub(crate) fn works(&self) {
        *self.problem.lock() = None;
        self.is_failing.store(false, Relaxed);
    }

    pub(crate) fn anchored(&self, is_signed: bool) {
        let number = if is_signed {
            &self.anchors
        } else {
            &self.anchor_failures
        };
        number.fetch_add(1, Relaxed);
        self.anchors_fail.store(!is_signed, Relaxed);
    }

    pub(crate) fn anchor_written(&self, line: u64) {
        *self.last_anchor.lock() = Some((line, SystemTime::now()));
    }
}
