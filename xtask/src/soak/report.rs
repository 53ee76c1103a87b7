//! The result of a soak, and the limits that it has to keep.

use serde::Serialize;
use serde_json::json;

use super::{
    Arguments,
    tally::{Requests, Sample, Tally},
};
use crate::{
    bench::{
        figures::{median, percentile},
        table,
    },
    step,
};

#[derive(Serialize)]
pub(super) struct Report {
    minutes: f64,
    operations: Vec<Row>,
    rotations: u64,
    outages: u64,
    /// Requests that failed although they did not need the key service, or although it worked.
    failed: u64,
    /// Answers that were not what had been encoded.
    wrong: u64,
    /// Bodies that could not be decoded at the end.
    lost: usize,
    audit_log_is_whole: bool,
    memory: Memory,
    /// The latency of the last quarter as a multiple of that of the first one.
    drift: f64,
    limits: Limits,
}

#[derive(Serialize)]
struct Row {
    operation: &'static str,
    requests: u64,
    failed: u64,
    excused: u64,
    p50_first_ms: f64,
    p50_last_ms: f64,
    p99_ms: f64,
}

/// In MiB: medians of a quarter of the time each.
#[derive(Serialize)]
struct Memory {
    first: f64,
    second: f64,
    last: f64,
    peak: f64,
    /// From the second quarter to the last.
    growth: f64,
}

#[derive(Serialize)]
struct Limits {
    growth_mib: f64,
    drift: f64,
}

impl Report {
    pub(super) fn new(
        arguments: &Arguments,
        tally: &Tally,
        lost: usize,
        audit_log_is_whole: bool,
    ) -> Self {
        let operations = vec![
            Row::new("encode", &tally.encode, tally.seconds),
            Row::new("decode", &tally.decode_new, tally.seconds),
            Row::new("decode old", &tally.decode_old, tally.seconds),
        ];
        // Old payloads wait for the key service, so their times say nothing of the server.
        let quick = || operations.iter().take(2);
        let at_first: f64 = quick().map(|row| row.p50_first_ms).sum();
        let at_last: f64 = quick().map(|row| row.p50_last_ms).sum();
        Self {
            minutes: tally.seconds / 60.0,
            failed: operations.iter().map(|row| row.failed).sum(),
            operations,
            rotations: tally.rotations,
            outages: tally.outages,
            wrong: tally.wrong,
            lost,
            audit_log_is_whole,
            memory: Memory::new(tally),
            drift: at_last / at_first,
            limits: Limits {
                growth_mib: arguments.most_growth,
                drift: arguments.most_drift,
            },
        }
    }

    /// What is not as it has to be.
    pub(super) fn passed_limits(&self) -> Vec<String> {
        let limits = &self.limits;
        let mut passed = Vec::new();
        let mut check = |is_kept: bool, text: String| {
            if !is_kept {
                passed.push(text);
            }
        };
        let sent = self.operations.iter().all(|row| row.requests > 0);
        check(sent, "a kind of request was never sent".to_owned());
        let failed = self.failed;
        check(
            failed == 0,
            format!("{failed} requests failed without need"),
        );
        let wrong = self.wrong;
        check(wrong == 0, format!("{wrong} answers were wrong"));
        let lost = self.lost;
        check(lost == 0, format!("{lost} bodies were lost"));
        let whole = self.audit_log_is_whole;
        check(whole, "the audit log is not whole".to_owned());
        let growth = self.memory.growth;
        let text = format!("memory grew by {growth:.1} MiB of {:.1}", limits.growth_mib);
        check(growth <= limits.growth_mib, text);
        let drift = self.drift;
        let text = format!(
            "answers take {drift:.2} times as long, of {:.2}",
            limits.drift
        );
        // Without any answer in a quarter, nothing is known.
        check(drift > 0.0 && drift <= limits.drift, text);
        passed
    }

    pub(super) fn print(&self) {
        step::heading(&format!("Soak of {:.1} minutes", self.minutes));
        table::rows(OPERATIONS, &json!(self.operations));
        anstream::println!();
        table::rows(MEMORY, &json!([self.memory]));
        anstream::println!();
        step::note(&format!(
            "{} rotations, {} outages, latency drift {:.2}; {} failed, {} wrong, {} lost; the audit log is {}",
            self.rotations,
            self.outages,
            self.drift,
            self.failed,
            self.wrong,
            self.lost,
            if self.audit_log_is_whole {
                "whole"
            } else {
                "damaged"
            },
        ));
    }
}

const OPERATIONS: &[table::Column] = &[
    ("operation", "operation", None),
    ("requests", "requests", Some(0)),
    ("failed", "failed", Some(0)),
    ("excused", "excused", Some(0)),
    ("p50 ms, first quarter", "p50_first_ms", Some(2)),
    ("p50 ms, last quarter", "p50_last_ms", Some(2)),
    ("p99 ms", "p99_ms", Some(2)),
];
const MEMORY: &[table::Column] = &[
    ("MiB, first quarter", "first", Some(1)),
    ("second quarter", "second", Some(1)),
    ("last quarter", "last", Some(1)),
    ("peak", "peak", Some(1)),
    ("growth", "growth", Some(1)),
];

impl Row {
    fn new(operation: &'static str, requests: &Requests, seconds: f64) -> Self {
        let times = |part| values(&requests.times, part, seconds);
        Self {
            operation,
            requests: requests.sent,
            failed: requests.failed,
            excused: requests.excused,
            p50_first_ms: median(times(FIRST_QUARTER)),
            p50_last_ms: median(times(LAST_QUARTER)),
            p99_ms: percentile(times(WHOLE), 99),
        }
    }
}

impl Memory {
    fn new(tally: &Tally) -> Self {
        let within = |part| values(&tally.memory, part, tally.seconds);
        let second = median(within(SECOND_QUARTER));
        let last = median(within(LAST_QUARTER));
        Self {
            first: median(within(FIRST_QUARTER)),
            second,
            last,
            peak: within(WHOLE).fold(0.0, f64::max),
            growth: last - second,
        }
    }
}

/// A part of the time of a load: from where to where, of 1.
type Part = (f64, f64);
const WHOLE: Part = (0.0, 1.0);
const FIRST_QUARTER: Part = (0.0, 0.25);
const SECOND_QUARTER: Part = (0.25, 0.5);
const LAST_QUARTER: Part = (0.75, 1.0);

/// What was measured in a part of the `seconds` of a load.
fn values(samples: &[Sample], (from, to): Part, seconds: f64) -> impl Iterator<Item = f64> {
    let part = from * seconds..=to * seconds;
    let within = samples
        .iter()
        .filter(move |sample| part.contains(&sample.at));
    within.map(|sample| sample.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    fn arguments() -> Arguments {
        Arguments {
            minutes: 1.0,
            json: true,
            clients: 1,
            codec_server: None,
            fake_cloud_kms: None,
            most_growth: 10.0,
            most_drift: 2.0,
        }
    }

    /// A sample for each second of a minute, with another value in its second half.
    fn minute(first: f64, last: f64) -> Vec<Sample> {
        let sample = |second| Sample {
            at: f64::from(second),
            value: if second < 30 { first } else { last },
        };
        (0..60).map(sample).collect()
    }

    /// A minute in which every request takes `last` milliseconds at the end, and the memory reaches `memory` MiB.
    fn tally(last: f64, memory: f64) -> Tally {
        let requests = || Requests {
            sent: 60,
            times: minute(1.0, last),
            ..Requests::default()
        };
        Tally {
            encode: requests(),
            decode_new: requests(),
            decode_old: requests(),
            memory: minute(50.0, memory),
            seconds: 60.0,
            ..Tally::default()
        }
    }

    #[test]
    fn only_what_was_measured_in_a_part_counts() {
        let samples = minute(1.0, 2.0);
        let count = |part| values(&samples, part, 60.0).count();
        assert_eq!(count(WHOLE), 60);
        assert_eq!(count(FIRST_QUARTER), 16);
        assert!(values(&samples, SECOND_QUARTER, 60.0).any(|value| value < 1.5));
        assert!(values(&samples, LAST_QUARTER, 60.0).all(|value| value > 1.5));
        assert_eq!(values(&[], WHOLE, 60.0).count(), 0);
    }

    #[test]
    fn what_keeps_the_limits_passes() {
        let report = Report::new(&arguments(), &tally(1.5, 55.0), 0, true);
        assert!(
            report.passed_limits().is_empty(),
            "{:?}",
            report.passed_limits()
        );
        assert!((report.memory.growth - 5.0).abs() < 1e-9);
        assert!((report.drift - 1.5).abs() < 1e-9);
    }

    #[test]
    fn each_limit_is_noticed() {
        let failed = Tally {
            wrong: 1,
            encode: Requests {
                failed: 1,
                ..tally(1.0, 50.0).encode
            },
            ..tally(1.0, 50.0)
        };
        for (tally, lost, whole, count) in [
            (tally(2.5, 50.0), 0, true, 1),
            (tally(1.0, 61.0), 0, true, 1),
            (tally(1.0, 50.0), 1, true, 1),
            (tally(1.0, 50.0), 0, false, 1),
            (failed, 0, true, 2),
            // Without requests, the latency is unknown too.
            (Tally::default(), 0, true, 2),
        ] {
            let passed = Report::new(&arguments(), &tally, lost, whole).passed_limits();
            assert_eq!(passed.len(), count, "{passed:?}");
        }
    }
}
