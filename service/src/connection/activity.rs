//! What an HTTP/2 connection is doing, so that idle and stalled ones are closed. The HTTP library limits neither.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::deadline::later;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// From this number on, cancelled requests are compared with answered ones.
const MANY_CANCELLED: usize = 100;

/// Looking again early costs little. A state that begins in a pause is seen at the latest after its own limit and this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It has had no request for too long.
    Idle,
    /// The client does not read an answer.
    Unread,
    /// The client cancels most of its requests.
    Cancelling,
}

/// How long a connection may be idle, and an answer unread.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActivityLimits {
    pub(super) idle: Duration,
    pub(super) answer: Duration,
}

/// The requests of one connection, and the answers that the client has not read yet.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    next: u64,
    /// Requests in work.
    working: usize,
    /// Since when answers are unread.
    unread: BTreeMap<u64, Instant>,
    idle_since: Instant,
    answered: usize,
    cancelled: usize,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            next: 0,
            working: 0,
            unread: BTreeMap::new(),
            idle_since: Instant::now(),
            answered: 0,
            cancelled: 0,
        })))
    }

    /// Notes a request. It counts as cancelled when it is dropped without an answer.
    pub(super) fn begin(self: &Arc<Self>) -> Working {
        self.0.lock().working += 1;
        Working {
            activity: Arc::clone(self),
            is_answered: false,
        }
    }

    /// Returns when the connection must end.
    pub(super) async fn overdue(&self, limits: ActivityLimits) -> Overdue {
        loop {
            match self.check(limits) {
                Ok(next) => sleep_until(next).await,
                Err(overdue) => return overdue,
            }
        }
    }

    /// When to look again.
    fn check(&self, limits: ActivityLimits) -> Result<Instant, Overdue> {
        let state = self.0.lock();
        let now = Instant::now();
        if state.cancelled >= MANY_CANCELLED && state.cancelled > state.answered {
            return Err(Overdue::Cancelling);
        }
        // The map is in the order in which the answers began.
        if let Some((_, since)) = state.unread.first_key_value() {
            if now.duration_since(*since) >= limits.answer {
                return Err(Overdue::Unread);
            }
        } else if state.working == 0 && now.duration_since(state.idle_since) >= limits.idle {
            return Err(Overdue::Idle);
        }
        Ok(later(limits.idle.min(limits.answer).min(LONGEST_PAUSE)))
    }
}

/// A request in work.
pub(super) struct Working {
    activity: Arc<Activity>,
    is_answered: bool,
}

impl Working {
    /// The answer, whose bytes count as unread until the connection has sent them.
    pub(super) fn answer(mut self, response: Response) -> Response {
        self.is_answered = true;
        let unread = Unread::begin(&self.activity);
        let unread = Arc::new(unread);
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                frame.map_data(|bytes| {
                    Bytes::from_owner(Held {
                        bytes,
                        _unread: Arc::clone(&unread),
                    })
                })
            }))
        })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.working = state.working.saturating_sub(1);
        state.idle_since = Instant::now();
        if self.is_answered {
            state.answered += 1;
        } else {
            state.cancelled += 1;
        }
    }
}

/// Part of an answer.
struct Held {
    bytes: Bytes,
    _unread: Arc<Unread>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An answer until its bytes are sent.
struct Unread {
    activity: Arc<Activity>,
    number: u64,
}

impl Unread {
    fn begin(activity: &Arc<Activity>) -> Self {
        let mut state = activity.0.lock();
        let number = state.next;
        state.next += 1;
        state.unread.insert(number, Instant::now());
        drop(state);
        Self {
            activity: Arc::clone(activity),
            number,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.unread.remove(&self.number);
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMITS: ActivityLimits = ActivityLimits {
        idle: Duration::from_secs(30),
        answer: Duration::from_mins(1),
    };

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle() {
        let activity = Activity::new();
        assert_eq!(activity.overdue(LIMITS).await, Overdue::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_request_is_not_idle() {
        let activity = Activity::new();
        let working = activity.begin();
        let waited = timeout(Duration::from_hours(1), activity.overdue(LIMITS)).await;
        assert!(waited.is_err());
        drop(working);
        assert_eq!(activity.overdue(LIMITS).await, Overdue::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_unread_until_its_bytes_are_gone() {
        let activity = Activity::new();
        let response = activity.begin().answer(Response::new(Body::from("text")));
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&bytes[..], b"text");
        assert_eq!(activity.overdue(LIMITS).await, Overdue::Unread);
        drop(bytes);
        assert_eq!(activity.overdue(LIMITS).await, Overdue::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_cancels_most_of_its_requests_is_cut_off() {
        let activity = Activity::new();
        for _ in 0..MANY_CANCELLED {
            drop(activity.begin().answer(Response::default()));
            drop(activity.begin());
        }
        advance(Duration::from_secs(1)).await;
        assert!(activity.check(LIMITS).is_ok(), "half of them is usual");
        drop(activity.begin());
        assert_eq!(activity.overdue(LIMITS).await, Overdue::Cancelling);
    }
}
