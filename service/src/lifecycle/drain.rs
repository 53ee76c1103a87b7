//! The end of a server.

use std::time::Duration;

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Goes on serving for `delay` although the server is not ready any more: a load balancer sends requests until it notices.
pub async fn serve_until_noticed(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    tracing::info!(
        ?delay,
        "not ready any more; serving until others have noticed"
    );
    sleep(delay).await;
}

/// Waits for a listener that was told to stop. Returns whether it answered everything in time.
pub async fn finish(serving: JoinHandle<()>, grace: Duration) -> bool {
    match timeout(grace, serving).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => {
            let error = std::io::Error::from(error);
            tracing::error!(%error, "a listener failed");
        }
        Err(_) => tracing::warn!("the grace time is over; requests in flight are cut off"),
    }
    false
}
