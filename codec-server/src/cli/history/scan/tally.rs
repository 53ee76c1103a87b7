//! What payloads need, summed up: constant memory for any number of workflows.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use temporal_kms_codec::{Inspection, Payload};

/// What some payloads have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) format: String,
    pub(super) key: Option<String>,
    pub(super) version: Option<String>,
    pub(super) namespace: Option<String>,
}

/// What a group needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Need {
    pub(super) payloads: u64,
    /// Payloads that no other key opens.
    pub(super) only_key: u64,
    pub(super) bytes: u64,
    pub(super) workflows: u64,
    pub(super) open: u64,
    /// Closed workflows whose end is not known.
    pub(super) unknown: u64,
    pub(super) written: Written,
    /// Payloads of which it is not known when they were written.
    pub(super) undated: u64,
    /// Seconds since 1970.
    pub(super) kept_until: Option<u64>,
}

/// When the first and the last payload were written, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written(pub(super) Option<(u64, u64)>);

/// The sum over workflows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) needs: Vec<(Group, Need)>,
    pub(super) workflows: u64,
    pub(super) open: u64,
    pub(super) schedules: u64,
    pub(super) payloads: u64,
    pub(super) encrypted: u64,
    /// Values that are never encrypted: Temporal searches by them.
    pub(super) search_attributes: u64,
    /// Payloads, and parts of histories, that could not be read.
    pub(super) unreadable: u64,
}

/// How long Temporal keeps a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// Seconds since 1970.
    KeptUntil(u64),
    Unknown,
}

/// The payloads of one workflow or schedule.
#[derive(Debug, Default)]
pub(super) struct Workflow {
    needs: BTreeMap<Group, Need>,
    payloads: u64,
    encrypted: u64,
    search_attributes: u64,
    unreadable: u64,
}

impl Workflow {
    /// Counts a payload, or a part of a history, that cannot be read.
    pub(super) fn add_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// As [`add`](Self::add); `None` is a payload that cannot be read.
    pub(super) fn add_found(&mut self, payload: Option<&Payload>, time: Option<u64>) {
        match payload {
            Some(payload) => self.add(payload, time),
            None => self.add_unreadable(),
        }
    }

    /// Counts a payload that was written at `time`, where that is known. The time of an event that holds a copy of an
    /// older payload is not the time of writing.
    pub(super) fn add(&mut self, payload: &Payload, time: Option<u64>) {
        let inspection = Inspection::of(payload);
        if inspection.format.is_none() && payload.metadata.contains_key("type") {
            self.search_attributes += 1;
            return;
        }
        self.payloads += 1;
        self.encrypted += u64::from(inspection.is_encrypted());
        let format = match (inspection.format, &inspection.encoding) {
            (Some(format), _) => format.to_owned(),
            (None, Some(encoding)) => format!("not encrypted ({encoding})"),
            (None, None) => "not encrypted".to_owned(),
        };
        let is_only = inspection.keys.len() == 1;
        let keys = inspection.keys.into_iter();
        let mut keys: Vec<_> = keys.map(|key| (key.name, key.version)).collect();
        if keys.is_empty() {
            keys.push((None, None));
        }
        for (key, version) in keys {
            let group = Group {
                format: format.clone(),
                key,
                version,
                namespace: inspection.namespace.clone(),
            };
            let need = self.needs.entry(group).or_default();
            need.payloads += 1;
            need.only_key += u64::from(is_only);
            need.bytes += inspection.len as u64;
            need.written.add(time.map(|time| (time, time)));
            need.undated += u64::from(time.is_none());
        }
    }
}

impl Tally {
    /// Adds a workflow.
    pub(super) fn add(&mut self, workflow: Workflow, end: End) {
        self.workflows += 1;
        self.open += u64::from(end == End::Open);
        self.merge(workflow, end);
    }

    /// Adds a schedule, which is kept until it is deleted.
    pub(super) fn add_schedule(&mut self, schedule: Workflow) {
        self.schedules += 1;
        self.merge(schedule, End::Open);
    }

    fn merge(&mut self, workflow: Workflow, end: End) {
        self.payloads += workflow.payloads;
        self.encrypted += workflow.encrypted;
        self.search_attributes += workflow.search_attributes;
        self.unreadable += workflow.unreadable;
        for (group, more) in workflow.needs {
            let at = match self.needs.binary_search_by(|(known, _)| known.cmp(&group)) {
                Ok(at) => at,
                Err(at) => {
                    self.needs.insert(at, (group, Need::default()));
                    at
                }
            };
            let Some((_, need)) = self.needs.get_mut(at) else {
                continue;
            };
            need.payloads += more.payloads;
            need.only_key += more.only_key;
            need.bytes += more.bytes;
            need.workflows += 1;
            need.written.add(more.written.0);
            need.undated += more.undated;
            match end {
                End::Open => need.open += 1,
                End::Unknown => need.unknown += 1,
                End::KeptUntil(time) => need.kept_until = need.kept_until.max(Some(time)),
            }
        }
    }
}

impl Written {
    fn add(&mut self, more: Option<(u64, u64)>) {
        self.0 = match (self.0, more) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (known, more) => known.or(more),
        };
    }
}

/// Seconds since 1970 of a time in the form of RFC 3339.
pub(super) fn seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The form of RFC 3339.
pub(super) fn shown(seconds: u64) -> String {
    /// 31 December 9999.
    const LAST: u64 = 253_402_300_799;
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(metadata: &[(&str, &str)]) -> Payload {
        Payload {
            metadata: metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            data: vec![0; 28],
            ..Payload::default()
        }
    }

    #[test]
    fn payloads_are_grouped_and_ends_are_summed_up() {
        let sealed = payload(&[
            ("encoding", "binary/encrypted"),
            ("encryption-key-id", "old"),
        ]);
        let plain = payload(&[("encoding", "json/plain")]);
        let attribute = payload(&[("encoding", "json/plain"), ("type", "Keyword")]);
        let mut tally = Tally::default();
        for (end, time) in [
            (End::Open, 10),
            (End::KeptUntil(50), 30),
            (End::KeptUntil(40), 20),
            (End::Unknown, 5),
        ] {
            let mut workflow = Workflow::default();
            workflow.add(&sealed, Some(time));
            workflow.add(&sealed, None);
            workflow.add(&plain, Some(time));
            workflow.add(&attribute, Some(time));
            tally.add(workflow, end);
        }
        assert_eq!((tally.workflows, tally.open), (4, 1));
        assert_eq!((tally.payloads, tally.encrypted), (12, 8));
        assert_eq!(tally.search_attributes, 4);
        let [(plain, _), (old, need)] = &tally.needs[..] else {
            panic!("{tally:?}")
        };
        assert_eq!(plain.format, "not encrypted (json/plain)");
        assert_eq!(old.key.as_deref(), Some("static:old"));
        assert_eq!(
            *need,
            Need {
                payloads: 8,
                only_key: 8,
                bytes: 224,
                workflows: 4,
                open: 1,
                unknown: 1,
                written: Written(Some((5, 30))),
                undated: 4,
                kept_until: Some(50),
            }
        );
    }
}
