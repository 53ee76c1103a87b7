//! This machine's clock against a service's.

use std::time::{Duration, SystemTime};

use temporal_kms_codec::kms::ProviderError;

use super::{
    super::exit::Status,
    finding::{Check, Finding},
};

const WORRYING: u64 = 30;
const REMEDY: &str = "set this machine's clock: turn on NTP with `timedatectl set-ntp true`, or restart chronyd; \
                      in a container set the clock of its host";

/// By how many whole seconds the service's clock is ahead of this machine's. A `Date` has no fractions of a second, and
/// was written at some time between the two.
pub(super) fn skew(date: SystemTime, before: SystemTime, after: SystemTime) -> i64 {
    let middle = before + after.duration_since(before).unwrap_or_default() / 2;
    let half = Duration::from_millis(500);
    match (date + half).duration_since(middle) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

/// `tolerance` is how far the service, or `whose` clock it is, lets this machine's clock be off.
pub(super) fn judge(skew: Option<i64>, tolerance: Duration, whose: &str) -> Finding {
    let refused = tolerance.as_secs();
    let Some(skew) = skew else {
        return Finding::skipped(Check::Clock, format!("the {whose} did not tell its time"));
    };
    let side = if skew > 0 { "behind" } else { "ahead of" };
    let summary = format!(
        "this machine's clock is {} seconds {side} the {whose}'s",
        skew.unsigned_abs()
    );
    let finding = match skew.unsigned_abs() {
        off if off >= refused => Finding::failed(
            Check::Clock,
            Status::Configuration,
            format!("{summary}; credentials are refused beyond {refused}"),
            REMEDY,
        ),
        WORRYING.. => Finding::warning(Check::Clock, summary, REMEDY),
        0..=1 => Finding::ok(Check::Clock, format!("it agrees with the {whose}'s")),
        _ => Finding::ok(Check::Clock, summary),
    };
    finding.with("skew_seconds", skew)
}

/// The service itself said so.
pub(super) fn refused(error: &ProviderError, skew: Option<i64>, tolerance: Duration) -> Finding {
    let told = error.summary();
    let summary = match skew.filter(|skew| skew.unsigned_abs() < tolerance.as_secs()) {
        Some(skew) => format!(
            "{told}; its Date header is only {skew} seconds away, so a proxy between may have written that"
        ),
        None => told.into_owned(),
    };
    Finding::failed(Check::Clock, Status::Configuration, summary, REMEDY)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Outcome;

    const TOLERANCE: Duration = Duration::from_mins(5);

    #[test]
    fn what_a_call_takes_is_no_skew() {
        let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let after = before + Duration::from_secs(4);
        assert_eq!(skew(before + Duration::from_secs(2), before, after), 0);
        assert_eq!(skew(before + Duration::from_secs(602), before, after), 600);
        assert_eq!(skew(before - Duration::from_secs(599), before, after), -600);
    }

    #[test]
    fn five_minutes_are_too_much_and_half_a_minute_is_worth_a_warning() {
        for (skew, outcome) in [
            (Some(0), Outcome::Ok),
            (Some(29), Outcome::Ok),
            (Some(-30), Outcome::Warning),
            (Some(299), Outcome::Warning),
            (Some(300), Outcome::Failed),
            (Some(-7200), Outcome::Failed),
            (None, Outcome::Skipped),
        ] {
            assert_eq!(
                judge(skew, TOLERANCE, "service").outcome,
                outcome,
                "{skew:?}"
            );
        }
        assert!(
            judge(Some(600), TOLERANCE, "service")
                .summary
                .contains("600 seconds behind")
        );
        assert!(
            judge(Some(-600), TOLERANCE, "service")
                .summary
                .contains("600 seconds ahead")
        );
    }
}
