//! Which request a call of a key is for.

use std::sync::Arc;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// Runs `work`. The lines of calls of keys that it makes hold the request's id.
///
/// A call that several requests wait for holds the id of one of them. A call in the background holds none.
pub async fn within<T>(request: impl Into<Arc<str>>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(request.into(), work).await
}

/// The id of the request that this task works for.
pub(crate) fn request() -> Option<Arc<str>> {
    REQUEST.try_with(Clone::clone).ok()
}
