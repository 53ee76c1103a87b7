//! One pass over the lines of a log. It stops at the first line that is wrong.

mod claims;
mod end;

use std::path::PathBuf;

use super::{
    Verifier,
    chains::{self, Chain},
    diagnosis::diagnose,
    ends::Ends,
    report::{Finding, FindingKind, Found, Report},
    window::{Seen, Window},
};
use crate::{
    chain::{Hash, Head},
    error::AuditError,
    line::Line,
    read::RawLine,
};

/// Verifies the log in these files.
pub(super) fn run(
    verifier: &Verifier,
    files: &[PathBuf],
    ends: Ends,
) -> Result<Report, AuditError> {
    let mut window = Window::new(files);
    let mut check = Check {
        verifier,
        files,
        ends,
        last: None,
        place: (0, 0),
        chain: None,
        unanchored: 0,
        report: Report::new(files),
    };
    check.run(&mut window)?;
    Ok(check.report)
}

/// One verification on its way.
struct Check<'v> {
    verifier: &'v Verifier,
    files: &'v [PathBuf],
    ends: Ends,
    /// The last line that is right.
    last: Option<Head>,
    /// Its file and number.
    place: (usize, u64),
    /// The chain that it belongs to.
    chain: Option<Chain>,
    /// The lines without an anchor of the chains before.
    unanchored: u64,
    report: Report,
}

impl Check<'_> {
    fn run(&mut self, window: &mut Window) -> Result<(), AuditError> {
        // A file appears with its first line. An empty one between others shows by the lines that are missing.
        if self.is_empty(0) {
            let what = "the file is empty; its lines were removed";
            let kind = FindingKind::Removed;
            let found = self.report.finding_at(self.files, (0, 1), kind, None, what);
            self.report.finding = Some(found);
            return Ok(());
        }
        while let Some(raw) = window.next()? {
            self.report.lines += 1;
            let finding = match raw.parse() {
                Some(line) => self.line(&raw, &line, window)?,
                None => self.no_line(&raw, window)?,
            };
            if finding.is_some() {
                self.report.finding = finding;
                return Ok(());
            }
        }
        self.report.finding = self.end();
        self.report.ok = self.report.finding.is_none();
        Ok(())
    }

    fn line(
        &mut self,
        raw: &RawLine,
        line: &Line,
        window: &mut Window,
    ) -> Result<Option<Finding>, AuditError> {
        let begins_chain = chains::begins(line) && self.last.is_some();
        if begins_chain && let Some(finding) = self.next_chain(raw, line, window) {
            return Ok(Some(finding));
        }
        let follows = match self.last {
            _ if begins_chain => true,
            Some(last) => line.prev == last.hash && line.seq == last.seq + 1,
            None => match self.first(raw, line) {
                Some(finding)
                    if window.next_contradicts(Head::new(line.seq, Hash::of(&raw.bytes)))? =>
                {
                    let message = "this line was changed after it was written".to_owned();
                    let kind = FindingKind::Changed;
                    return Ok(Some(Finding {
                        kind,
                        message,
                        ..finding
                    }));
                }
                Some(finding) => return Ok(Some(finding)),
                None => true,
            },
        };
        if !follows {
            let last = self.last.unwrap_or(Head::START);
            let found = diagnose(last, raw, line, window, &self.ends)?;
            let Found {
                kind,
                place,
                seq,
                message,
            } = found;
            return Ok(Some(
                self.report
                    .finding_at(self.files, place, kind, seq, &message),
            ));
        }
        let head = Head::new(line.seq, Hash::of(&raw.bytes));
        if self.chain.is_none() {
            let chain = Chain::beginning(line);
            self.ends.saw(chain.before);
            self.chain = Some(chain);
        }
        let found = match self.wrong_alone(raw, line, head, window)? {
            None => None,
            // The next line knows the line as it was written.
            Some(_) if window.next_contradicts(head)? => {
                let what = "this line was changed after it was written";
                let kind = FindingKind::Changed;
                Some(
                    self.report
                        .finding(self.files, raw, kind, Some(line.seq), what),
                )
            }
            found => found,
        };
        self.accept(raw, head, line, window);
        Ok(found)
    }

    /// A new chain begins behind another one. The lines of a stream that is not received completely are not known.
    fn next_chain(&mut self, raw: &RawLine, line: &Line, window: &Window) -> Option<Finding> {
        let (chain, last) = (self.chain.as_ref()?, self.last?);
        if !chain.is_stream {
            let what = "a log of files has only one chain; this line was added";
            let (kind, seq) = (FindingKind::Inserted, Some(line.seq));
            return Some(self.report.finding(self.files, raw, kind, seq, what));
        }
        if let Some(before) = chains::before(line)
            && window.hash_of(before.seq) != Some(before.hash)
        {
            let what = format!(
                "the chain before this line does not have its line {}; lines were removed or changed",
                before.seq
            );
            let (kind, seq) = (FindingKind::Removed, Some(before.seq));
            return Some(self.report.finding(self.files, raw, kind, seq, &what));
        }
        // Where lines without an anchor are counted, it is enough that one chain has one.
        if self.verifier.max_unanchored.is_none()
            && let Some(finding) = self.without_anchor(chain, last)
        {
            return Some(finding);
        }
        self.unanchored += chain.unanchored(last);
        self.chain = None;
        let note =
            "a new chain begins here: the process was started again, or a message was not received";
        self.report.note(self.files, raw, note);
        None
    }

    /// What is wrong with a line that follows the line before it.
    fn wrong_alone(
        &mut self,
        raw: &RawLine,
        line: &Line,
        head: Head,
        window: &mut Window,
    ) -> Result<Option<Finding>, AuditError> {
        if let Some(found) = self.file_name(raw, line) {
            return Ok(Some(found));
        }
        let is_stream = self.chain.as_ref().is_some_and(|chain| chain.is_stream);
        if let Some(how) = self.ends.contradicted_by(head, is_stream) {
            return self.contradiction(raw, head, window, how).map(Some);
        }
        Ok(self.event(raw, line, window))
    }

    fn accept(&mut self, raw: &RawLine, head: Head, line: &Line, window: &mut Window) {
        self.last = Some(head);
        self.place = (raw.file, raw.number);
        self.ends.saw(head);
        self.report.accepted(head, line);
        window.remember(Seen {
            head,
            place: self.place,
        });
    }

    /// The first line of all that were given.
    fn first(&mut self, raw: &RawLine, line: &Line) -> Option<Finding> {
        let is_start = line.seq == 1 && line.prev == Hash::ZERO;
        let removed = |this: &Self, what: &str| {
            let (kind, seq) = (FindingKind::Removed, line.seq.saturating_sub(1));
            Some(this.report.finding(this.files, raw, kind, Some(seq), what))
        };
        if line.event() != "file" && line.event() != "stream" {
            let what = "the lines before it are missing: a file begins with a line `file`";
            return removed(self, what);
        }
        if is_start {
            let before = chains::before(line)?;
            if self.verifier.is_complete {
                return removed(self, "the chain before this line is missing");
            }
            let note = format!(
                "the log begins with a new chain; the one before it, up to line {}, was not given",
                before.seq
            );
            self.report.note(self.files, raw, &note);
            return None;
        }
        if self.verifier.is_complete || line.seq == 1 {
            return removed(self, "the lines before it are missing");
        }
        let note = format!(
            "the log begins with line {}; the lines before it were not given",
            line.seq
        );
        self.report.note(self.files, raw, &note);
        None
    }

    /// Bytes that are not a line: a killed process left them, if the next line says so.
    fn no_line(
        &mut self,
        raw: &RawLine,
        window: &mut Window,
    ) -> Result<Option<Finding>, AuditError> {
        let last = self.last.unwrap_or(Head::START);
        if let Some(torn) = window.torn(raw, last)? {
            let note = format!(
                "a process was killed while it wrote; {} bytes are not a line",
                torn.bytes
            );
            self.report.note(self.files, raw, &note);
            // The line behind it links to the last torn one.
            self.last = Some(Head::new(last.seq, torn.hash));
            window.skip(torn.further)?;
            return Ok(None);
        }
        let (kind, what) = match window.peek(0)? {
            None if !raw.is_ended() && self.is_newest(raw) => {
                if self.ends.newest() <= last.seq {
                    let note = "the last line is not whole: the process was killed while it wrote, it is writing now, or the end was cut off within a line";
                    self.report.note(self.files, raw, note);
                    return Ok(None);
                }
                (
                    FindingKind::CutOff,
                    "this line was cut off after it was written",
                )
            }
            Some(next) if next.parse().is_some_and(|next| next.prev == last.hash) => (
                FindingKind::Inserted,
                "this is not a line of the log; it was added",
            ),
            _ => (
                FindingKind::Changed,
                "this line was changed after it was written",
            ),
        };
        Ok(Some(self.report.finding(
            self.files,
            raw,
            kind,
            Some(last.seq + 1),
            what,
        )))
    }

    fn is_newest(&self, raw: &RawLine) -> bool {
        raw.file + 1 == self.files.len()
    }

    /// A known head has another hash for this line.
    fn contradiction(
        &self,
        raw: &RawLine,
        head: Head,
        window: &mut Window,
        how: &str,
    ) -> Result<Finding, AuditError> {
        let before = self.last.map(|last| last.hash);
        let next = window.peek(0)?;
        let follows_too = next.and_then(RawLine::parse).map(|next| next.prev);
        let (kind, what) = match next {
            None => (
                FindingKind::Changed,
                format!("this line was changed after it was written: {how} has another hash"),
            ),
            Some(_) if follows_too.is_some() && follows_too == before => {
                (FindingKind::Inserted, "this line was added".to_owned())
            }
            Some(_) => (
                FindingKind::Rewritten,
                format!("the log was rewritten: {how} has another hash for this line"),
            ),
        };
        Ok(self
            .report
            .finding(self.files, raw, kind, Some(head.seq), &what))
    }

    fn is_empty(&self, index: usize) -> bool {
        let file = self.files.get(index).map(std::fs::metadata);
        file.is_some_and(|file| file.is_ok_and(|file| file.is_file() && file.len() == 0))
    }
}
