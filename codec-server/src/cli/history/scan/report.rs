//! The answer of a scan, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    super::super::table::table,
    tally::{Group, Need, Tally, shown},
};

const NOTHING: &str = "-";

/// The fields are for programs and do not change. Times have the form of RFC 3339.
#[derive(Serialize)]
pub(super) struct Report<'t> {
    workflows: u64,
    open_workflows: u64,
    schedules: u64,
    payloads: u64,
    encrypted: u64,
    not_encrypted: u64,
    search_attributes: u64,
    /// Payloads, and parts of histories, that could not be read. They may need any key.
    unreadable: u64,
    needs: Vec<Line<'t>>,
}

#[derive(Serialize)]
struct Line<'t> {
    format: &'t str,
    key: Option<&'t str>,
    version: Option<&'t str>,
    namespace: Option<&'t str>,
    payloads: u64,
    only_key: u64,
    bytes: u64,
    workflows: u64,
    open: u64,
    /// Closed workflows of which it is not known how long they are kept.
    unknown_end: u64,
    first_written: Option<String>,
    last_written: Option<String>,
    /// Payloads that may be older than `first_written` says.
    unknown_written: u64,
    kept_until: Option<String>,
}

impl<'t> Report<'t> {
    pub(super) fn of(tally: &'t Tally) -> Self {
        Self {
            workflows: tally.workflows,
            open_workflows: tally.open,
            schedules: tally.schedules,
            payloads: tally.payloads,
            encrypted: tally.encrypted,
            not_encrypted: tally.payloads - tally.encrypted,
            search_attributes: tally.search_attributes,
            unreadable: tally.unreadable,
            needs: tally.needs.iter().map(Line::of).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let header = [
            "FORMAT",
            "KEY",
            "VERSION",
            "NAMESPACE",
            "PAYLOADS",
            "ONLY KEY",
            "WORKFLOWS",
            "WRITTEN",
            "KEPT UNTIL",
        ];
        let rows: Vec<_> = self.needs.iter().map(Line::row).collect();
        let mut text = table(header, &rows);
        let _ = write!(
            text,
            "\nWorkflows: {}, open: {}. Schedules: {}. Payloads: {}, not encrypted: {}. Search attributes: {}.\n",
            self.workflows,
            self.open_workflows,
            self.schedules,
            self.payloads,
            self.not_encrypted,
            self.search_attributes,
        );
        text
    }
}

impl<'t> Line<'t> {
    fn of((group, need): &'t (Group, Need)) -> Self {
        Self {
            format: &group.format,
            key: group.key.as_deref(),
            version: group.version.as_deref(),
            namespace: group.namespace.as_deref(),
            payloads: need.payloads,
            only_key: need.only_key,
            bytes: need.bytes,
            workflows: need.workflows,
            open: need.open,
            unknown_end: need.unknown,
            first_written: need.written.0.map(|(first, _)| shown(first)),
            last_written: need.written.0.map(|(_, last)| shown(last)),
            unknown_written: need.undated,
            kept_until: need.kept_until.map(shown),
        }
    }

    fn row(&self) -> [String; 9] {
        let day = |time: &Option<String>| {
            let day = time.as_ref().and_then(|time| time.get(..10));
            day.unwrap_or(NOTHING).to_owned()
        };
        let written = match (day(&self.first_written), day(&self.last_written)) {
            _ if self.unknown_written > 0 => "unknown".to_owned(),
            (first, last) if first == last => first,
            (first, last) => format!("{first}–{last}"),
        };
        let version = match (self.key, self.version) {
            (Some(_), None) => "unknown",
            (_, version) => version.unwrap_or(NOTHING),
        };
        [
            self.format.to_owned(),
            self.key.unwrap_or(NOTHING).to_owned(),
            version.to_owned(),
            self.namespace.unwrap_or(NOTHING).to_owned(),
            self.payloads.to_string(),
            self.only_key.to_string(),
            self.workflows.to_string(),
            written,
            self.kept(),
        ]
    }

    /// The longest of what keeps the payloads.
    fn kept(&self) -> String {
        match (self.open, self.unknown_end, &self.kept_until) {
            (1.., _, _) => format!("open ({})", self.open),
            (0, 1.., _) => "unknown".to_owned(),
            (0, 0, Some(time)) => time.clone(),
            (0, 0, None) => NOTHING.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::Payload;

    use super::{
        super::tally::{End, Workflow},
        *,
    };

    #[test]
    fn one_payload_of_unknown_age_makes_the_time_of_all_unknown() {
        let sealed = Payload {
            metadata: [
                ("encoding", "binary/encrypted"),
                ("encryption-key-id", "old"),
            ]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
            data: vec![0; 28],
            ..Payload::default()
        };
        for (times, expected) in [
            (vec![Some(0), Some(86_400)], "1970-01-01–1970-01-02"),
            (vec![Some(0), None], "unknown"),
            (vec![None], "unknown"),
        ] {
            let (mut tally, mut workflow) = (Tally::default(), Workflow::default());
            for time in times {
                workflow.add(&sealed, time);
            }
            tally.add(workflow, End::Open);
            let report = Report::of(&tally);
            let [line] = &report.needs[..] else {
                panic!("{}", report.text())
            };
            assert_eq!(line.row()[7], expected);
        }
    }
}
