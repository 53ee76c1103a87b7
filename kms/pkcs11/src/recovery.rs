//! Limits how often a module is initialized again for one token.

use std::time::{Duration, Instant};

/// The time between two attempts while the token stays away. It doubles from the first value to the last.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(8);

/// The time between two attempts for an object that may never have existed. An attempt ends the sessions of all other
/// keys of the module.
const SEARCH: Duration = Duration::from_mins(1);

/// What a call did not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The token. No session can be opened, although it was present before.
    Token,
    /// The key, or a token that was never found. Its name may be wrong.
    Object,
}

/// The time of the next permitted attempt.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pause: Duration,
    token: Option<Instant>,
    object: Option<Instant>,
}

impl Recovery {
    /// Whether the module may be initialized because of `loss`. If so, the next attempt must wait.
    pub(super) fn begins(&mut self, loss: Loss, now: Instant) -> bool {
        let next = match loss {
            Loss::Token => &mut self.token,
            Loss::Object => &mut self.object,
        };
        if next.is_some_and(|next| now < next) {
            return false;
        }
        let pause = match loss {
            Loss::Token => {
                self.pause = (self.pause * 2).clamp(FIRST, LAST);
                self.pause
            }
            Loss::Object => SEARCH,
        };
        *next = now.checked_add(pause);
        true
    }

    /// Records that the token answers.
    pub(super) fn worked(&mut self) {
        self.pause = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls begin a recovery in the first `seconds`, with ten calls a second.
    fn attempts(recovery: &mut Recovery, loss: Loss, seconds: u32) -> usize {
        let start = tokio::time::Instant::now().into_std();
        (0..seconds * 10)
            .filter(|tenth| recovery.begins(loss, start + Duration::from_millis(100) * *tenth))
            .count()
    }

    #[test]
    fn a_token_that_stays_away_is_looked_for_every_few_seconds() {
        // At 0, 1, 3, 7, 15, 23, …
        assert_eq!(attempts(&mut Recovery::default(), Loss::Token, 32), 7);
    }

    #[test]
    fn a_wrong_name_costs_others_their_sessions_once_a_minute() {
        assert_eq!(attempts(&mut Recovery::default(), Loss::Object, 120), 2);
    }

    #[test]
    fn a_token_that_comes_and_goes_is_found_each_time_but_not_more_than_once_a_second() {
        let mut recovery = Recovery::default();
        let start = tokio::time::Instant::now().into_std();
        assert!(recovery.begins(Loss::Token, start));
        recovery.worked();
        assert!(!recovery.begins(Loss::Token, start + Duration::from_millis(900)));
        assert!(recovery.begins(Loss::Token, start + Duration::from_secs(1)));
        recovery.worked();
        assert!(recovery.begins(Loss::Token, start + Duration::from_secs(2)));
    }
}
