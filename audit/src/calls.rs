//! The calls of keys that have begun and not ended.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// The calls of keys that have begun and not ended.
#[derive(Debug)]
pub(crate) struct Calls(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    open: u64,
    is_closing: bool,
}

impl Default for Calls {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Calls {
    /// A call begins. `false` when none may begin any more.
    pub(crate) fn begin(&self) -> bool {
        self.0.send_if_modified(|state| {
            if !state.is_closing {
                state.open += 1;
            }
            !state.is_closing
        })
    }

    /// A call begins, at any time.
    pub(crate) fn begin_anyway(&self) {
        self.0.send_modify(|state| state.open += 1);
    }

    /// A call has ended.
    pub(crate) fn end(&self) {
        self.0
            .send_modify(|state| state.open = state.open.saturating_sub(1));
    }

    /// Lets no call begin from now on, and waits for those that have begun. Returns how many have not ended by then.
    pub(crate) async fn finish(&self, patience: Duration) -> u64 {
        self.0.send_modify(|state| state.is_closing = true);
        let mut states = self.0.subscribe();
        let ended = states.wait_for(|state| state.open == 0);
        // The sender is here, so the wait does not fail.
        let _ = timeout(patience, ended).await;
        self.0.borrow().open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn calls_that_end_in_time_are_waited_for() {
        let calls = Calls::default();
        assert!(calls.begin() && calls.begin());
        calls.end();
        let mut finish = Box::pin(calls.finish(PATIENCE));
        assert!(futures::poll!(&mut finish).is_pending());
        assert!(!calls.begin(), "no new one may begin");
        calls.end();
        assert_eq!(finish.await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_counted() {
        let calls = Calls::default();
        assert!(calls.begin());
        assert_eq!(calls.finish(PATIENCE).await, 1);
        calls.begin_anyway();
        assert_eq!(calls.finish(PATIENCE).await, 2);
    }
}
