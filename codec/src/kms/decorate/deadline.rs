use std::time::Duration;

use futures::future::BoxFuture;

use super::{Around, Attempt, Call};
use crate::kms::{ProviderError, ProviderErrorKind};

/// Gives a call up after a time.
pub(super) struct Deadline<A> {
    pub(super) limit: Duration,
    pub(super) inner: A,
}

impl<A: Around> Around for Deadline<A> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        attempt: Attempt<'a, T>,
    ) -> BoxFuture<'a, Result<T, ProviderError>> {
        Box::pin(async move {
            tokio::time::timeout(self.limit, self.inner.call(call, attempt))
                .await
                .unwrap_or_else(|_| {
                    Err(
                        ProviderError::new(ProviderErrorKind::DeadlineExceeded, call.key)
                            .with_detail(format!("gave up after {:?}", self.limit)),
                    )
                })
        })
    }
}
