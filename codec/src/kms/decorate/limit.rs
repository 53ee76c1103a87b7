use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::{Around, Attempt, Call};
use crate::kms::{ProviderError, ProviderErrorKind};

/// Lets a number of calls run at the same time and has further ones wait their turn.
pub(super) struct Limit<A> {
    turns: Semaphore,
    inner: A,
}

impl<A> Limit<A> {
    pub(super) fn new(max_concurrent: usize, inner: A) -> Self {
        Self {
            turns: Semaphore::new(max_concurrent.min(Semaphore::MAX_PERMITS)),
            inner,
        }
    }
}

impl<A: Around> Around for Limit<A> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        Box::pin(async move {
            match self.turns.acquire().await {
                Ok(_turn) => self.inner.call(call, attempt).await,
                Err(_) => Err(ProviderError::new(ProviderErrorKind::Unavailable, call.key)),
            }
        })
    }
}
