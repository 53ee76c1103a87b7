//! Why a webhook was not delivered.

use thiserror::Error;

/// A webhook was not delivered. The text names the receiver's host and never the rest of its URL, which can hold secrets.
#[derive(Debug, Error)]
#[error("cannot deliver the webhook to {host}: {problem}")]
pub(crate) struct WebhookError {
    /// Whether another attempt can succeed.
    pub(crate) retry: bool,
    host: String,
    problem: Problem,
}

/// Why a webhook is not delivered.
#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error("callbackUrl must be an http or https URL with a host")]
    Url,
    #[error(
        "its address is not public. The operator can permit it with --webhook-allow or CLAUDE_TASKS_WEBHOOK_ALLOW"
    )]
    Refused,
    #[error(
        "it answered {0}, which is a redirect. Redirects are not followed; correct callbackUrl"
    )]
    Redirect(u16),
    #[error("it answered {0}")]
    Status(u16),
    #[error("{0}")]
    Transport(&'static str),
    #[error("the body cannot be written as JSON")]
    Body,
}

impl WebhookError {
    pub(super) fn new(host: &str, problem: Problem) -> Self {
        let retry = match problem {
            Problem::Url | Problem::Refused | Problem::Redirect(_) | Problem::Body => false,
            Problem::Status(status) => may_change(status),
            Problem::Transport(_) => true,
        };
        Self {
            retry,
            host: host.to_owned(),
            problem,
        }
    }

    /// The status of the receiver's answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self.problem {
            Problem::Status(status) | Problem::Redirect(status) => Some(status),
            _ => None,
        }
    }
}

/// Whether the receiver may answer another status later. 401 and 403 are the answers of a receiver whose secret is about to
/// be replaced, 404 of one that is about to be deployed. The others say that this request will never be accepted.
fn may_change(status: u16) -> bool {
    !matches!(
        status,
        400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 422 | 431 | 501 | 505
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_can_be_tried_again() {
        let retry = |problem| WebhookError::new("h", problem).retry;
        for status in [401, 403, 404, 408, 425, 429, 500, 502, 503, 504] {
            assert!(retry(Problem::Status(status)), "{status}");
        }
        for status in [400, 405, 410, 413, 422] {
            assert!(!retry(Problem::Status(status)), "{status}");
        }
        assert!(retry(Problem::Transport("the connection failed")));
        assert!(!retry(Problem::Redirect(302)) && !retry(Problem::Refused));
    }
}
