//! The result of a soak, and the limits that it has to keep.

use std::{collections::BTreeMap, process::ExitStatus};

use serde::Serialize;
use serde_json::json;

use super::{
    Arguments,
    memory_limit::GroupMemory,
    sizing::Sizing,
    tally::{Operation, Requests, Sample, Tally},
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
    /// How often, by what was answered.
    failures: BTreeMap<String, u64>,
    /// Answers that were not what had been encoded.
    wrong: u64,
    /// Bodies that could not be decoded at the end. `None` when the server had ended before.
    lost: Option<usize>,
    audit_log_is_whole: bool,
    /// How the server ended by itself, or was killed.
    ended: Option<String>,
    memory: Memory,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_limit: Option<MemoryLimit>,
    /// The latency of the last quarter as a multiple of that of the first one.
    drift: f64,
    limits: Limits,
}

/// How the servers were at the end.
pub(super) struct End {
    pub(super) status: Option<ExitStatus>,
    pub(super) lost: Option<usize>,
    pub(super) memory: Option<GroupMemory>,
    pub(super) audit_log_is_whole: bool,
}

#[derive(Serialize)]
struct Row {
    operation: &'static str,
    requests: u64,
    failed: u64,
    excused: u64,
    /// Only with large requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
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

/// The memory of the server's control group, and the settings that were chosen for its limit.
#[derive(Serialize)]
struct MemoryLimit {
    #[serde(flatten)]
    group: GroupMemory,
    settings: Sizing,
}

#[derive(Serialize)]
struct Limits {
    growth_mib: f64,
    drift: f64,
}

impl Report {
    pub(super) fn new(arguments: &Arguments, tally: &Tally, end: End) -> Self {
        let mut requests = vec![
            (Operation::Encode, &tally.encode),
            (Operation::DecodeNew, &tally.decode_new),
            (Operation::DecodeOld, &tally.decode_old),
        ];
        let has_large = arguments.memory_limit.is_some();
        if has_large {
            requests.push((Operation::EncodeLarge, &tally.encode_large));
            requests.push((Operation::DecodeLarge, &tally.decode_large));
        }
        let operations: Vec<Row> = requests
            .into_iter()
            .map(|(operation, requests)| Row::new(operation, requests, tally.seconds, has_large))
            .collect();
        // Old payloads wait for the key service, so their times say nothing of the server.
        let quick = || operations.iter().take(2);
        let at_first: f64 = quick().map(|row| row.p50_first_ms).sum();
        let at_last: f64 = quick().map(|row| row.p50_last_ms).sum();
        Self {
            minutes: tally.seconds / 60.0,
            failed: operations.iter().map(|row| row.failed).sum(),
            operations,
            failures: tally.failures.clone(),
            rotations: tally.rotations,
            outages: tally.outages,
            wrong: tally.wrong,
            lost: end.lost,
            audit_log_is_whole: end.audit_log_is_whole,
            ended: end.status.map(|status| status.to_string()),
            memory: Memory::new(tally),
            memory_limit: end.memory.map(|group| MemoryLimit {
                settings: Sizing::of(group.limit_mib),
                group,
            }),
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
        let answered = self.operations.iter().all(Row::is_answered);
        let text = "a kind of request was always refused or failed";
        check(!sent || answered, text.to_owned());
        if let Some(status) = &self.ended {
            check(false, format!("the server ended ({status})"));
        }
        if let Some(MemoryLimit { group, .. }) = &self.memory_limit {
            let kills = group.kills;
            check(kills == 0, format!("kills for lack of memory: {kills}"));
        }
        let failed = self.failed;
        check(
            failed == 0,
            format!("{failed} requests failed without need"),
        );
        let wrong = self.wrong;
        check(wrong == 0, format!("{wrong} answers were wrong"));
        // The end of the server is reported above.
        let lost = self.lost.unwrap_or_default();
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
        if let Some(limit) = &self.memory_limit {
            table::rows(MEMORY_LIMIT, &json!([limit]));
            anstream::println!();
        }
        step::note(&self.summary());
        for (answer, count) in &self.failures {
            step::note(&format!("failed without need: {answer} ({count} times)"));
        }
        if let Some(status) = &self.ended {
            step::note(&format!(
                "the server ended ({status}); what was kept could not be decoded"
            ));
        }
    }

    fn summary(&self) -> String {
        let lost = match self.lost {
            Some(lost) => format!("{lost} lost"),
            None => "not known how many are lost".to_owned(),
        };
        let audit_log = if self.audit_log_is_whole {
            "whole"
        } else {
            "damaged"
        };
        format!(
            "{} rotations, {} outages, latency drift {:.2}; {} failed, {} wrong, {lost}; the audit log is {audit_log}",
            self.rotations, self.outages, self.drift, self.failed, self.wrong,
        )
    }
}

const OPERATIONS: &[table::Column] = &[
    ("operation", "operation", None),
    ("requests", "requests", Some(0)),
    ("failed", "failed", Some(0)),
    ("excused", "excused", Some(0)),
    ("refused", "refused", Some(0)),
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

const MEMORY_LIMIT: &[table::Column] = &[
    ("MiB, limit", "limit_mib", Some(0)),
    ("peak of the group", "peak_mib", Some(1)),
    ("limit reached", "reached", Some(0)),
    ("kills", "kills", Some(0)),
    ("max_memory", "settings.max_memory_mib", Some(0)),
    ("max_answer", "settings.max_answer_mib", Some(0)),
    ("max_connections", "settings.max_connections", Some(0)),
    ("arenas", "settings.malloc_arenas", Some(0)),
];

impl Row {
    fn new(operation: Operation, requests: &Requests, seconds: f64, has_large: bool) -> Self {
        let times = |part| values(&requests.times, part, seconds);
        Self {
            operation: operation.name(),
            requests: requests.sent,
            failed: requests.failed,
            excused: requests.excused,
            refused: has_large.then_some(requests.refused),
            p50_first_ms: median(times(FIRST_QUARTER)),
            p50_last_ms: median(times(LAST_QUARTER)),
            p99_ms: percentile(times(WHOLE), 99),
        }
    }

    fn is_answered(&self) -> bool {
        let others = self.failed + self.excused + self.refused.unwrap_or_default();
        self.requests > others
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
    use std::os::unix::process::ExitStatusExt as _;

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
            memory_limit: None,
        }
    }

    fn end(lost: usize, audit_log_is_whole: bool) -> End {
        End {
            status: None,
            lost: Some(lost),
            memory: None,
            audit_log_is_whole,
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
        let report = Report::new(&arguments(), &tally(1.5, 55.0), end(0, true));
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
            let passed = Report::new(&arguments(), &tally, end(lost, whole)).passed_limits();
            assert_eq!(passed.len(), count, "{passed:?}");
        }
    }

    #[test]
    fn what_could_not_be_checked_is_not_said_to_be_there() {
        let summary = |lost| {
            let end = End {
                lost,
                ..end(0, true)
            };
            Report::new(&arguments(), &tally(1.0, 50.0), end).summary()
        };
        let counted = "0 rotations, 0 outages, latency drift 1.00; 0 failed, 0 wrong";
        let expected = |lost| format!("{counted}, {lost}; the audit log is whole");
        assert_eq!(summary(Some(2)), expected("2 lost"));
        assert_eq!(summary(None), expected("not known how many are lost"));
    }

    /// The passed limits of a soak with limited memory, whose large requests were refused so often.
    fn limited(refused: u64, kills: u64, status: Option<ExitStatus>) -> Vec<String> {
        let arguments = Arguments {
            memory_limit: Some(256),
            ..arguments()
        };
        let large = || Requests {
            sent: 60,
            refused,
            ..Requests::default()
        };
        let tally = Tally {
            encode_large: large(),
            decode_large: large(),
            ..tally(1.0, 50.0)
        };
        let end = End {
            status,
            lost: status.is_none().then_some(0),
            memory: Some(GroupMemory {
                limit_mib: 256,
                peak_mib: Some(255.5),
                reached: 9,
                kills,
            }),
            ..end(0, true)
        };
        Report::new(&arguments, &tally, end).passed_limits()
    }

    #[test]
    fn kills_and_the_end_of_the_server_are_noticed_and_refusals_are_not_failures() {
        assert_eq!(limited(59, 0, None), Vec::<String>::new());
        assert_eq!(
            limited(60, 0, None),
            ["a kind of request was always refused or failed"]
        );
        assert_eq!(
            limited(5, 1, Some(ExitStatus::from_raw(9))),
            [
                "the server ended (signal: 9 (SIGKILL))",
                "kills for lack of memory: 1"
            ]
        );
    }
}
