//! What a verification found.

use std::path::PathBuf;

use serde::Serialize;

use crate::{chain::Head, line::Line, read::RawLine};

/// More notes than a person reads.
const MOST_NOTES: usize = 100;

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
    /// What is remarkable, and not wrong.
    pub notes: Vec<String>,
    /// The files, in their order.
    pub files: Vec<PathBuf>,
    /// How many lines were read.
    pub lines: u64,
    /// The number of the first line.
    pub first: Option<u64>,
    /// The last line.
    pub last: Option<Head>,
    /// When the last line was written, as it says itself.
    pub last_time: Option<String>,
    /// How many anchors are right.
    pub anchors: u64,
    /// The last of them.
    pub last_anchor: Option<LastAnchor>,
    /// How many lines are behind it, or how many there are without an anchor.
    pub unanchored: u64,
}

/// The last anchor that is right.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LastAnchor {
    /// The number of the line that it anchors.
    pub seq: u64,
    /// When it was signed.
    pub time: String,
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was done.
    pub kind: FindingKind,
    /// The file.
    pub file: PathBuf,
    /// The line in the file, from 1.
    pub line: u64,
    /// The number of the line in the log, where it is known.
    pub seq: Option<u64>,
    /// What is wrong, in words.
    pub message: String,
}

/// What was done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A line was changed.
    Changed,
    /// Lines were removed.
    Removed,
    /// Lines are in another order.
    Reordered,
    /// A line was added.
    Inserted,
    /// The end was cut off.
    CutOff,
    /// A whole file was renamed, or lines were moved between files.
    Moved,
    /// The log does not have the line that was noted elsewhere.
    Rewritten,
    /// An anchor does not fit the log, is not signed, or is missing.
    Anchor,
}

/// A finding before its file is known.
pub(super) struct Found {
    pub(super) kind: FindingKind,
    /// The file and the line.
    pub(super) place: (usize, u64),
    pub(super) seq: Option<u64>,
    pub(super) message: String,
}

impl Report {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        Self {
            ok: false,
            finding: None,
            notes: Vec::new(),
            files: files.to_vec(),
            lines: 0,
            first: None,
            last: None,
            last_time: None,
            anchors: 0,
            last_anchor: None,
            unanchored: 0,
        }
    }

    pub(super) fn accepted(&mut self, head: Head, line: &Line) {
        self.first.get_or_insert(head.seq);
        self.last = Some(head);
        // The last one is shown only, so it is not copied for each line.
        if let Some(time) = line.text("time") {
            let last = self.last_time.get_or_insert_default();
            time.clone_into(last);
        }
    }

    pub(super) fn note(&mut self, files: &[PathBuf], raw: &RawLine, text: &str) {
        if self.notes.len() < MOST_NOTES {
            let file = file_name(files, raw.file);
            self.notes
                .push(format!("{}:{}: {text}", file.display(), raw.number));
        }
    }

    pub(super) fn finding(
        &self,
        files: &[PathBuf],
        raw: &RawLine,
        kind: FindingKind,
        seq: Option<u64>,
        message: &str,
    ) -> Finding {
        self.finding_at(files, (raw.file, raw.number), kind, seq, message)
    }

    #[expect(clippy::unused_self, reason = "findings are made by reports")]
    pub(super) fn finding_at(
        &self,
        files: &[PathBuf],
        (file, line): (usize, u64),
        kind: FindingKind,
        seq: Option<u64>,
        message: &str,
    ) -> Finding {
        Finding {
            kind,
            file: file_name(files, file),
            line,
            seq,
            message: message.to_owned(),
        }
    }
}

fn file_name(files: &[PathBuf], index: usize) -> PathBuf {
    files.get(index).cloned().unwrap_or_default()
}
