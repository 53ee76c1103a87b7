//! When a call to the service is made again.

use std::time::Duration;

use tokio::time::sleep;

use crate::client::error::ClientError;

/// How often in a row a call is made again.
const ATTEMPTS: u32 = 30;
/// The pause before another attempt, and the longest one that the service can ask for.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The failures in a row.
#[derive(Debug, Default)]
pub(super) struct Retries {
    failures: u32,
}

impl Retries {
    /// Forgets the failures, because a call has brought something.
    pub(super) fn restart(&mut self) {
        self.failures = 0;
    }

    /// Waits before another attempt, as long as the service asks for.
    ///
    /// # Errors
    /// The error, when another attempt would fail, too, or there were many.
    pub(super) async fn wait_after(&mut self, error: ClientError) -> Result<(), ClientError> {
        if self.failures >= ATTEMPTS || is_final(&error) {
            return Err(error);
        }
        self.failures += 1;
        let asked = match error {
            ClientError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        sleep(asked.clamp(PAUSE, LONGEST_PAUSE)).await;
        Ok(())
    }
}

/// Whether another attempt would fail, too.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => !matches!(status, 429 | 500 | 502..),
        ClientError::NotFound(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> ClientError {
        ClientError::Refused {
            status,
            problem: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn lost() -> ClientError {
        ClientError::Server {
            problem: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_again_when_the_service_wants_it() {
        for (error, pause) in [
            (lost(), 1),
            (refused(503, None), 1),
            (refused(503, Some(0)), 1),
            (refused(429, Some(7)), 7),
            (refused(429, Some(u64::MAX)), 60),
        ] {
            let start = Instant::now();
            Retries::default().wait_after(error).await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_secs(pause));
        }
        for status in [400, 401, 403, 409, 501] {
            let mut retries = Retries::default();
            let error = retries.wait_after(refused(status, Some(1))).await;
            assert!(error.is_err(), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_answers_is_given_up() {
        let mut retries = Retries::default();
        for _ in 0..2 {
            for _ in 0..ATTEMPTS {
                retries.wait_after(lost()).await.unwrap();
            }
            assert!(retries.wait_after(lost()).await.is_err());
            retries.restart();
        }
    }
}
