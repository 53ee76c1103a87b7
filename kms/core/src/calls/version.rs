//! Which version of a key answered a call. A provider says it while the call is running, and the metrics learn it.

use std::{fmt, future::Future, sync::Arc};

use parking_lot::Mutex;

/// The version of a key that a call used, as far as the service tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionUsed {
    /// The version in the service's own numbering.
    pub version: Option<String>,
    /// Whether it was the version that encrypts now.
    pub primary: Option<bool>,
}

tokio::task_local! {
    static USED: Arc<Mutex<Option<VersionUsed>>>;
}

/// Says which version of the key answered the call that is running. Outside of a call that is counted, it does nothing.
pub fn used_version(version: Option<&dyn fmt::Display>, primary: Option<bool>) {
    let _ = USED.try_with(|used| {
        *used.lock() = Some(VersionUsed {
            version: version.map(ToString::to_string),
            primary,
        });
    });
}

/// Runs a call, and returns what it said of the key's version.
pub(super) async fn observe<T>(call: impl Future<Output = T>) -> (T, Option<VersionUsed>) {
    let used = Arc::default();
    let answer = USED.scope(Arc::clone(&used), call).await;
    let version = used.lock().take();
    (answer, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_has_its_own_version() {
        used_version(Some(&"nobody listens"), None);
        let ((), used) = observe(async {
            let ((), inner) = observe(async { used_version(Some(&7), Some(false)) }).await;
            assert_eq!(inner.unwrap().version.as_deref(), Some("7"));
        })
        .await;
        assert_eq!(used, None);
    }
}
