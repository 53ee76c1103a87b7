//! How long calls take.

use std::time::Duration;

use indicatif::ProgressBar;
use temporal_kms_codec::kms::ProviderError;
use tokio::time::Instant;

use super::finding::{Check, Finding};

/// What AWS KMS takes from a machine in its region: `GenerateDataKey` 40 and 130 ms, `Decrypt` 42 and 135 ms.
const USUAL_P50_MS: f64 = 42.0;
const USUAL_P99_MS: f64 = 135.0;
const SLOW: f64 = 3.0;
/// A service that fails so often need not be asked further.
const MOST_FAILED: usize = 5;

/// The times of successful calls, and how many failed.
#[derive(Debug, Default)]
pub(super) struct Times {
    taken: Vec<Duration>,
    failed: usize,
}

impl Times {
    fn add<T>(&mut self, start: Instant, result: &Result<T, ProviderError>) {
        match result {
            Ok(_) => self.taken.push(start.elapsed()),
            Err(_) => self.failed += 1,
        }
    }

    /// The nearest rank: the smallest time that so many percent of the calls did not exceed.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.taken.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// What they come to for the operation `name`.
    pub(super) fn finding(&self, name: &str) -> Finding {
        let percentiles = [50, 99, 100].map(|percent| self.percentile(percent));
        let [Some(p50), Some(p99), Some(max)] = percentiles.map(|time| time.map(millis)) else {
            return Finding::skipped(Check::Latency, format!("{name}: no call succeeded"));
        };
        let calls = self.taken.len();
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("; {failed} more failed"),
        };
        let summary = format!(
            "{name}: p50 {} ms, p99 {} ms, max {} ms of {calls} calls{failed}",
            shown(p50),
            shown(p99),
            shown(max)
        );
        let finding = if self.failed > 0 {
            Finding::warning(
                Check::Latency,
                summary,
                "the service is overloaded or the network loses packets: look at the quota of the service and try again",
            )
        } else if p99 > SLOW * USUAL_P99_MS {
            Finding::warning(
                Check::Latency,
                format!("{summary}; usual are {USUAL_P50_MS} and {USUAL_P99_MS} ms"),
                "run closer to the key's region, or check proxies and firewalls between this machine and the service",
            )
        } else {
            Finding::ok(Check::Latency, summary)
        };
        finding
            .with("operation", name)
            .with("calls", calls)
            .with("failed_calls", self.failed)
            .with("p50_milliseconds", p50)
            .with("p99_milliseconds", p99)
            .with("max_milliseconds", max)
    }
}

/// Makes calls one after the other.
pub(super) async fn of_calls<T, F>(
    samples: u16,
    progress: &ProgressBar,
    call: impl Fn() -> F,
) -> Times
where
    F: Future<Output = Result<T, ProviderError>>,
{
    let mut times = Times::default();
    for _ in 0..samples {
        let start = Instant::now();
        times.add(start, &call().await);
        progress.inc(1);
        if times.failed == MOST_FAILED {
            break;
        }
    }
    times
}

/// With microseconds, and no more.
pub(super) fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

fn shown(millis: f64) -> String {
    if millis < 1.0 {
        format!("{millis:.3}")
    } else if millis < 10.0 {
        format!("{millis:.1}")
    } else {
        format!("{millis:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Outcome;

    fn of(millis: impl IntoIterator<Item = u64>) -> Times {
        Times {
            taken: millis.into_iter().map(Duration::from_millis).collect(),
            failed: 0,
        }
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = of((1..=100).rev());
        for (percent, expected) in [(1, 1), (50, 50), (99, 99), (100, 100)] {
            assert_eq!(
                times.percentile(percent),
                Some(Duration::from_millis(expected))
            );
        }
        assert_eq!(of([7]).percentile(50), Some(Duration::from_millis(7)));
        assert_eq!(of([1, 9]).percentile(50), Some(Duration::from_millis(1)));
        assert_eq!(of([]).percentile(50), None);
    }

    #[test]
    fn three_times_the_usual_is_slow() {
        assert_eq!(of([405]).finding("wrap").outcome, Outcome::Ok);
        assert_eq!(of([406]).finding("wrap").outcome, Outcome::Warning);
        assert_eq!(of([]).finding("wrap").outcome, Outcome::Skipped);
        let failed = Times {
            failed: 1,
            ..of([1])
        };
        assert_eq!(failed.finding("wrap").outcome, Outcome::Warning);
    }
}
