//! How much of the API one task may use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The limits of one task's calls.
#[derive(Clone, Debug)]
pub(crate) struct ProxyLimits {
    /// The most calls.
    pub(crate) calls: u64,
    /// The most tokens, of all kinds. A call that begins below the limit may end above it.
    pub(crate) tokens: Option<u64>,
    /// The models that tasks may use. A name that ends with `*` is a beginning. Empty for all.
    pub(crate) models: Vec<String>,
    /// Whether the API may reach other servers for the task: by its tools, MCP servers and URLs.
    pub(crate) web: bool,
    /// The longest body of a call, in bytes.
    pub(crate) call_bytes: usize,
    /// The most bytes of all bodies and answers.
    pub(crate) bytes: u64,
    /// The longest time of a call.
    pub(crate) call_time: Duration,
    /// The most connections at the same time.
    pub(crate) connections: usize,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            calls: 20_000,
            tokens: None,
            models: Vec::new(),
            web: false,
            // The API's own limit.
            call_bytes: 32 << 20,
            bytes: 64 << 30,
            call_time: Duration::from_hours(1),
            connections: 32,
        }
    }
}

/// What a task has used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    calls: AtomicU64,
    bytes: AtomicU64,
    tokens: Mutex<Tokens>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Tokens {
    used: u64,
    /// What the calls that run now may cost.
    reserved: u64,
}

impl Budget {
    /// Counts a call. Returns why it is not allowed.
    pub(super) fn begin(&self, limits: &ProxyLimits) -> Result<(), String> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= limits.calls {
            return Err(format!(
                "this task has used its {} calls of the API",
                limits.calls
            ));
        }
        if self.bytes.load(Ordering::Relaxed) >= limits.bytes {
            return Err("this task has sent and received too much".to_owned());
        }
        Ok(())
    }

    /// Reserves the tokens that a call may cost. Near the limit, calls wait for each other, so that many calls at a time do
    /// not go far above it.
    ///
    /// # Errors
    /// The reason, when the task has used its tokens.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        limits: &ProxyLimits,
        estimate: u64,
    ) -> Result<Reservation, String> {
        let most = limits.tokens.unwrap_or(u64::MAX);
        loop {
            // Made before the look, so that no end of another call is missed.
            let settled = self.settled.notified();
            if self.try_reserve(most, estimate)? {
                return Ok(Reservation {
                    budget: Arc::clone(self),
                    estimate,
                    cost: estimate,
                });
            }
            settled.await;
        }
    }

    fn try_reserve(&self, most: u64, estimate: u64) -> Result<bool, String> {
        let mut tokens = self.tokens.lock();
        if tokens.used >= most {
            return Err(format!("this task has used its {most} tokens"));
        }
        let is_free = tokens.reserved == 0 || tokens.used.saturating_add(tokens.reserved) < most;
        if is_free {
            tokens.reserved = tokens.reserved.saturating_add(estimate);
        }
        Ok(is_free)
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The tokens of a call that runs. When it is dropped, the task pays what the call cost, or all of it if that is not known.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    estimate: u64,
    cost: u64,
}

impl Reservation {
    /// What the call may cost.
    pub(super) fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Says what the call cost.
    pub(super) fn costs(&mut self, tokens: u64) {
        self.cost = tokens;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        {
            let mut tokens = self.budget.tokens.lock();
            tokens.reserved = tokens.reserved.saturating_sub(self.estimate);
            tokens.used = tokens.used.saturating_add(self.cost);
        }
        self.budget.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_budget_ends() {
        let limits = ProxyLimits {
            calls: 2,
            tokens: Some(10),
            ..ProxyLimits::default()
        };
        let budget = Arc::new(Budget::default());
        assert!(budget.begin(&limits).is_ok());
        assert!(budget.begin(&limits).is_ok());
        assert!(budget.begin(&limits).unwrap_err().contains("2 calls"));
        let mut call = budget.reserve(&limits, 100).await.unwrap();
        call.costs(9);
        drop(call);
        // The cost of this call is not known.
        drop(budget.reserve(&limits, 1).await.unwrap());
        let refused = budget.reserve(&limits, 1).await.unwrap_err();
        assert!(refused.contains("10 tokens"), "{refused}");
    }

    #[tokio::test]
    async fn calls_near_the_limit_wait_for_each_other() {
        let limits = ProxyLimits {
            tokens: Some(10),
            ..ProxyLimits::default()
        };
        let budget = Arc::new(Budget::default());
        let mut first = budget.reserve(&limits, 9).await.unwrap();
        let second = budget.reserve(&limits, 9).await.unwrap();
        let mut third = Box::pin(budget.reserve(&limits, 9));
        assert!(third.as_mut().now_or_never().is_none());
        first.costs(0);
        drop(first);
        drop(third.await.unwrap());
        drop(second);
        assert!(budget.reserve(&limits, 9).await.is_err());
    }
}
