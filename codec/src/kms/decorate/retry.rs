use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use rand::RngExt as _;

use super::{Around, Attempt, Call, KmsMetrics};
use crate::kms::ProviderError;

/// Repeats a call that failed transiently, after a random wait whose bound doubles each time ("full jitter": callers that
/// failed together do not come back together).
pub(super) struct Retry<A> {
    pub(super) max_attempts: u32,
    pub(super) base_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) metrics: Arc<KmsMetrics>,
    pub(super) inner: A,
}

impl<A> Retry<A> {
    /// The longest wait after so many failures.
    fn bound(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.base_delay.saturating_mul(doubled).min(self.max_delay)
    }
}

impl<A: Around> Around for Retry<A> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        Box::pin(async move {
            let mut failures = 0;
            loop {
                let error = match self.inner.call(call, attempt).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                failures += 1;
                if !error.is_transient() || failures >= self.max_attempts {
                    return Err(error);
                }
                self.metrics.retried(call);
                let wait = self.bound(failures).mul_f64(rand::rng().random::<f64>());
                tracing::debug!(key = %call.key, operation = call.operation.name(), %error, ?wait, "retrying");
                tokio::time::sleep(wait).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_its_limit() {
        let retry = Retry {
            max_attempts: 10,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(2),
            metrics: Arc::default(),
            inner: (),
        };
        let bounds: Vec<_> = (1..8)
            .map(|failures| retry.bound(failures).as_millis())
            .collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(retry.bound(u32::MAX), Duration::from_secs(2));
    }
}
