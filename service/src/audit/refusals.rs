//! Lines that anybody can cause are few: refusals must not fill the disk of the audit log.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use temporal_kms_codec::audit::{AuditLog, Event, Receipt, RequestEvent};
use tokio::time::sleep;

/// Lines for each second, and at once after a quiet time.
const RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// How often a line says how many were left out.
const PERIOD: Duration = Duration::from_secs(10);

/// Refusals, and how many of them get a line.
pub(super) struct Refusals {
    /// For callers who are not known. They must not hide the refusals of those who are.
    strangers: DefaultDirectRateLimiter,
    /// For callers who are known, all together.
    known: DefaultDirectRateLimiter,
    /// The lines that were left out, by their result.
    left_out: Mutex<BTreeMap<&'static str, u64>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let quota = Quota::per_second(RATE).allow_burst(BURST);
        Self {
            strangers: RateLimiter::direct(quota),
            known: RateLimiter::direct(quota),
            left_out: Mutex::default(),
        }
    }
}

impl Refusals {
    /// Adds a line, or counts it.
    pub(super) fn record(
        self: &Arc<Self>,
        log: &Arc<AuditLog>,
        event: &RequestEvent<'_>,
        result: &'static str,
    ) -> Option<Receipt> {
        let rate = if event.subject.is_some() {
            &self.known
        } else {
            &self.strangers
        };
        if rate.check().is_ok()
            && let Some(receipt) = log.offer(event)
        {
            return Some(receipt);
        }
        let mut left_out = self.left_out.lock();
        if left_out.is_empty() {
            let (refusals, log) = (Arc::clone(self), Arc::clone(log));
            tokio::spawn(async move {
                sleep(PERIOD).await;
                refusals.tell(&log);
            });
        }
        *left_out.entry(result).or_default() += 1;
        None
    }

    /// Adds a line that says how many were left out since the last one.
    pub(super) fn tell(&self, log: &AuditLog) {
        let left_out = std::mem::take(&mut *self.left_out.lock());
        if left_out.is_empty() {
            return;
        }
        let counted = |event: Event, (result, number)| Event::number(event, result, number);
        log.note(left_out.into_iter().fold(Event::new("left_out"), counted));
    }
}
