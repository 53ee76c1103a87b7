//! One call of a service under the policy.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{sync::Semaphore, time};
use tracing::Instrument as _;

use super::{
    breaker::{Admitted, Breaker},
    metrics::{Counted, KmsMetrics},
    observer::{Note, Observer, Outcome},
    operation::Call,
    policy::CallPolicy,
    version,
};
use crate::{KeyUri, ProviderError, ProviderErrorKind, crypto::random};

/// Makes the calls of one key as the policy says, counts them, and tells the observer.
pub(super) struct Calls {
    /// `None` where calls stay in this process.
    limits: Option<Limits>,
    metrics: Arc<KmsMetrics>,
    observer: Observer,
}

struct Limits {
    policy: CallPolicy,
    breaker: Breaker,
    turns: Semaphore,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

impl Calls {
    pub(super) fn new(
        policy: Option<&CallPolicy>,
        metrics: &Arc<KmsMetrics>,
        observer: Observer,
    ) -> Self {
        Self {
            limits: policy.map(Limits::new),
            metrics: metrics.clone(),
            observer,
        }
    }

    /// Makes a call. `attempt` may be run several times. `outcome` says what the observer is told.
    pub(super) async fn make<'a, T>(
        &'a self,
        call: Call<'a>,
        attempt: impl Fn() -> Answer<'a, T> + Send + Sync,
        outcome: impl Fn(&Result<T, ProviderError>) -> Outcome + Send,
    ) -> Result<T, ProviderError> {
        let span = tracing::debug_span!(
            "kms",
            operation = call.operation.as_str(),
            key = %call.key,
            error = tracing::field::Empty,
            otel.name = call.operation.span_name(),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
        );
        let made = self.observed(call, attempt, outcome);
        let answer = made.instrument(span.clone()).await;
        if let Err(error) = &answer {
            span.record("error", error.kind().as_str());
            span.record("otel.status_code", "ERROR");
        }
        answer
    }

    /// The observer is not told of calls that the circuit breaker does not let through: the service was not called. They
    /// are counted as failures. The metrics are those of the service: they count neither calls that the observer refuses
    /// nor the time of the observer.
    async fn observed<'a, T>(
        &'a self,
        call: Call<'a>,
        attempt: impl Fn() -> Answer<'a, T> + Send + Sync,
        outcome: impl Fn(&Result<T, ProviderError>) -> Outcome + Send,
    ) -> Result<T, ProviderError> {
        let Some(limits) = &self.limits else {
            let note = Note::begin(&self.observer, call, &[])?;
            let (answer, outcome) = self.counted(call, attempt(), outcome).await;
            return note.end(answer, outcome).await;
        };
        let admitted = match limits.breaker.admit(call.key) {
            Ok(admitted) => admitted,
            Err(error) => {
                let outcome = Outcome::Failed(error.kind());
                self.metrics.ended(call, Duration::ZERO, outcome, None);
                return Err(error);
            }
        };
        let note = Note::begin(&self.observer, call, &[])?;
        let within = limits.within_the_deadline(call, &self.metrics, admitted, attempt);
        let (answer, outcome) = self.counted(call, within, outcome).await;
        note.end(answer, outcome).await
    }

    async fn counted<T>(
        &self,
        call: Call<'_>,
        made: impl Future<Output = Result<T, ProviderError>> + Send,
        outcome: impl Fn(&Result<T, ProviderError>) -> Outcome + Send,
    ) -> (Result<T, ProviderError>, Outcome) {
        let counted = Counted::begin(&self.metrics, call);
        let (answer, version) = version::observe(made).await;
        let outcome = outcome(&answer);
        counted.end(outcome, version.as_ref());
        (answer, outcome)
    }
}

impl Limits {
    fn new(policy: &CallPolicy) -> Self {
        Self {
            breaker: Breaker::new(
                policy.breaker_failures,
                policy.breaker_pause,
                policy.attempt_timeout,
            ),
            turns: Semaphore::new(policy.max_concurrent.min(Semaphore::MAX_PERMITS)),
            policy: policy.clone(),
        }
    }

    async fn within_the_deadline<'a, T>(
        &self,
        call: Call<'a>,
        metrics: &KmsMetrics,
        admitted: Admitted<'_>,
        attempt: impl Fn() -> Answer<'a, T> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let limit = self.policy.total_timeout;
        match time::timeout(limit, self.with_retries(call, metrics, &admitted, attempt)).await {
            Ok(answer) => {
                admitted.ended(&answer);
                answer
            }
            // `admitted` knows whether this call waited for the service or only for its turn.
            Err(_) => Err(too_late(call.key, limit)),
        }
    }

    /// Repeats a call that failed transiently, after a random wait whose bound doubles each time ("full jitter"). So
    /// callers that failed together do not retry together.
    async fn with_retries<'a, T>(
        &self,
        call: Call<'a>,
        metrics: &KmsMetrics,
        admitted: &Admitted<'_>,
        attempt: impl Fn() -> Answer<'a, T> + Send + Sync,
    ) -> Result<T, ProviderError> {
        let mut failures = 0;
        loop {
            let error = match self.attempt_once(call.key, admitted, &attempt).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_transient() || failures >= self.policy.max_attempts {
                return Err(error);
            }
            metrics.retried(call);
            let wait = longest_wait(&self.policy, failures).mul_f64(random::fraction());
            tracing::debug!(key = %call.key, operation = call.operation.as_str(), %error, ?wait, "retrying");
            time::sleep(wait).await;
        }
    }

    async fn attempt_once<'a, T>(
        &self,
        key: &KeyUri,
        admitted: &Admitted<'_>,
        attempt: impl Fn() -> Answer<'a, T>,
    ) -> Result<T, ProviderError> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(ProviderError::new(ProviderErrorKind::Unavailable, key));
        };
        admitted.calls();
        let limit = self.policy.attempt_timeout;
        time::timeout(limit, attempt())
            .await
            .unwrap_or_else(|_| Err(too_late(key, limit)))
    }
}

fn too_late(key: &KeyUri, limit: Duration) -> ProviderError {
    ProviderError::new(ProviderErrorKind::DeadlineExceeded, key)
        .with_detail(format!("gave up after {limit:?}"))
}

/// The longest wait after this many failures.
fn longest_wait(policy: &CallPolicy, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    policy
        .base_delay
        .saturating_mul(doubled)
        .min(policy.max_delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_doubles_up_to_its_limit() {
        let policy = CallPolicy::default();
        let bounds: Vec<_> = (1..8)
            .map(|failures| longest_wait(&policy, failures).as_millis())
            .collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(longest_wait(&policy, u32::MAX), Duration::from_secs(2));
    }
}
