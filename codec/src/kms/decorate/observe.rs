use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::Instrument as _;

use super::{Around, Attempt, Call, KmsMetrics};
use crate::{clock::Clock, kms::ProviderError};

/// Counts and times calls, and puts each in a span.
pub(super) struct Observe<A> {
    pub(super) metrics: Arc<KmsMetrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inner: A,
}

impl<A: Around> Around for Observe<A> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        let span = tracing::debug_span!(
            "kms",
            operation = call.operation.name(),
            key = %call.key,
            error = tracing::field::Empty,
        );
        let observed = async move {
            let start = self.clock.now();
            let answer = self.inner.call(call, attempt).await;
            let kind = answer.as_ref().err().map(ProviderError::kind);
            if let Some(kind) = kind {
                tracing::Span::current().record("error", kind.name());
            }
            let took = self.clock.now().saturating_duration_since(start);
            self.metrics.ended(call, took, kind);
            answer
        };
        Box::pin(observed.instrument(span))
    }
}
