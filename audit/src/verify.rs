//! Verifies a log: finds the first line that was changed, removed, moved, added or cut off.

mod chains;
mod diagnosis;
mod ends;
mod report;
mod window;

use std::path::{Path, PathBuf};

use temporal_kms::PublicKey;

use self::report::Found;
pub use self::report::{Finding, FindingKind, LastAnchor, Report};
use self::{
    chains::{Anchored, Chain},
    diagnosis::diagnose,
    ends::Ends,
    window::{Seen, Window},
};
use crate::{
    anchor::Anchor,
    chain::{Hash, Head},
    error::AuditError,
    folder::names::FileName,
    line::Line,
    read::{self, RawLine},
};

/// Verifies logs.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    public_keys: Vec<PublicKey>,
    heads: Vec<Head>,
    max_unanchored: Option<u64>,
    is_complete: bool,
}

impl Verifier {
    /// Verifies the chain. Anchors are checked against the chain; without a public key, their signatures are not.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks that anchors are signed by this key, or by another one that is named so. There must be an anchor. In a stream,
    /// each chain must have one, unless [`with_max_unanchored`](Self::with_max_unanchored) counts its lines.
    #[must_use]
    pub fn with_public_key(mut self, key: PublicKey) -> Self {
        self.public_keys.push(key);
        self
    }

    /// Checks that the log has this line with this hash: one that was noted elsewhere.
    #[must_use]
    pub fn with_head(mut self, head: Head) -> Self {
        self.heads.push(head);
        self
    }

    /// Checks that at most so many lines are behind the last anchor. In a stream, the lines of all chains count together.
    #[must_use]
    pub fn with_max_unanchored(mut self, lines: u64) -> Self {
        self.max_unanchored = Some(lines);
        self
    }

    /// Checks that the log begins with its first line.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.is_complete = true;
        self
    }

    /// Verifies the log in these folders or files.
    ///
    /// # Errors
    /// When something cannot be read. What is wrong with the log is in the report.
    pub fn verify(&self, paths: &[PathBuf]) -> Result<Report, AuditError> {
        // Read first: a process that writes at this moment only adds lines behind it.
        let ends = Ends::of(paths, &self.heads);
        let files = read::files(paths)?;
        let mut window = Window::new(&files);
        let mut check = Check {
            verifier: self,
            files: &files,
            ends,
            last: None,
            place: (0, 0),
            chain: None,
            unanchored: 0,
            report: Report::new(&files),
        };
        check.run(&mut window)?;
        Ok(check.report)
    }
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

    /// A chain that ends without a signed anchor, where one is required.
    fn without_anchor(&self, chain: &Chain, last: Head) -> Option<Finding> {
        let has_another = self.verifier.max_unanchored.is_some() && self.report.anchors > 0;
        if self.verifier.public_keys.is_empty() || has_another || chain.anchored.is_some() {
            return None;
        }
        let what = if chain.is_stream {
            "there is no signed anchor in the chain that ends here, so all its lines may have been rewritten"
        } else {
            "there is no signed anchor of these lines, so the whole log may have been rewritten"
        };
        let (kind, seq) = (FindingKind::Anchor, Some(last.seq));
        Some(
            self.report
                .finding_at(self.files, self.place, kind, seq, what),
        )
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

    /// A file has the name that its first line says, and no line `file` is inside.
    fn file_name(&mut self, raw: &RawLine, line: &Line) -> Option<Finding> {
        let path = self.files.get(raw.file)?;
        if (line.event() == "file") != (raw.number == 1) && line.event() != "stream" {
            let name = name_of(path)?;
            let what = match raw.number {
                1 => format!(
                    "{name} does not begin with a line `file`; lines were moved between files"
                ),
                _ => format!("{name} has a line `file` inside; lines were moved between files"),
            };
            return Some(self.report.finding(
                self.files,
                raw,
                FindingKind::Moved,
                Some(line.seq),
                &what,
            ));
        }
        if line.event() != "file" {
            return None;
        }
        let name = name_of(path)?;
        let own = line.number("file")?;
        (own != name.number()).then(|| {
            let what = format!("this file was renamed: its first line says that it is file {own}");
            self.report
                .finding(self.files, raw, FindingKind::Moved, Some(line.seq), &what)
        })
    }

    /// What a line says about the log itself.
    fn event(&mut self, raw: &RawLine, line: &Line, window: &Window) -> Option<Finding> {
        match line.event() {
            "anchor" => return self.anchor(raw, line, window),
            "gap" => {
                let missing = line.number("missing").unwrap_or_default();
                let note = format!(
                    "{missing} lines are missing before it, because the log could not be written"
                );
                self.report.note(self.files, raw, &note);
            }
            "recovered" => return self.recovered(raw, line),
            _ => {}
        }
        None
    }

    fn anchor(&mut self, raw: &RawLine, line: &Line, window: &Window) -> Option<Finding> {
        let wrong = |this: &Self, what: &str| {
            let kind = FindingKind::Anchor;
            Some(
                this.report
                    .finding(this.files, raw, kind, Some(line.seq), what),
            )
        };
        let Some(anchor) = Anchor::read(line) else {
            return wrong(self, "it is not an anchor; it was changed");
        };
        let seen = window.hash_of(anchor.head.seq);
        let chain = self.chain.as_ref()?;
        let anchored = chain.anchored(&anchor, seen);
        if matches!(anchored, Anchored::Other) {
            let what = format!(
                "it was signed for another line {}: the log was rewritten before this anchor",
                anchor.head.seq
            );
            return wrong(self, &what);
        }
        let keys = &self.verifier.public_keys;
        if !keys.is_empty() && !anchor.is_signed_by(keys) {
            return wrong(self, "its signature is not by a public key that was given");
        }
        // A line that was not given can be any line, so the anchor protects nothing here.
        if matches!(anchored, Anchored::Earlier) {
            return None;
        }
        if let Some(chain) = &mut self.chain {
            chain.anchored = Some(anchor.head.seq);
        }
        self.report.anchors += 1;
        self.report.last_anchor = Some(LastAnchor {
            seq: anchor.head.seq,
            time: anchor.time.to_owned(),
        });
        None
    }

    fn recovered(&mut self, raw: &RawLine, line: &Line) -> Option<Finding> {
        if line.text("changed").is_some() {
            let what = "when the process started, the line before this one was not the one that was written";
            let kind = FindingKind::Changed;
            return Some(
                self.report
                    .finding(self.files, raw, kind, Some(line.seq), what),
            );
        }
        if let Some(lost) = line.number("lost") {
            let what =
                format!("when the process started, {lost} lines were missing before this one");
            let kind = FindingKind::CutOff;
            return Some(
                self.report
                    .finding(self.files, raw, kind, Some(line.seq), &what),
            );
        }
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

    /// What shows only at the end.
    fn end(&mut self) -> Option<Finding> {
        let Some(last) = self.last else {
            let what = "the log does not have a whole line; its lines were removed";
            let kind = FindingKind::Removed;
            return Some(self.report.finding_at(self.files, (0, 1), kind, None, what));
        };
        self.report.last = Some(last);
        let at = |this: &Self, kind, seq: u64, what: &str| {
            Some(
                this.report
                    .finding_at(this.files, this.place, kind, Some(seq), what),
            )
        };
        let newest = self.ends.newest();
        let end = self.files.len().saturating_sub(1);
        if self.is_empty(end) && newest <= last.seq {
            let what = "the newest file is empty; its lines were removed";
            return at(self, FindingKind::CutOff, last.seq + 1, what);
        }
        if newest > last.seq {
            let what = format!(
                "the lines behind it were cut off: line {newest} was written, and the log ends with line {}",
                last.seq
            );
            return at(self, FindingKind::CutOff, last.seq + 1, &what);
        }
        if let Some(head) = self.ends.missing() {
            let what = self.not_seen(head);
            return at(self, FindingKind::Rewritten, head.seq, &what);
        }
        let chain = self.chain.as_ref()?;
        if let Some(finding) = self.without_anchor(chain, last) {
            return Some(finding);
        }
        let unanchored = self.unanchored + chain.unanchored(last);
        self.report.unanchored = unanchored;
        if let Some(most) = self.verifier.max_unanchored
            && unanchored > most
        {
            let what = format!(
                "{unanchored} lines are behind the last anchor; at most {most} are allowed"
            );
            return at(self, FindingKind::Anchor, last.seq, &what);
        }
        None
    }

    /// A noted head whose line the log does not have.
    fn not_seen(&self, head: Head) -> String {
        let seq = head.seq;
        match &self.chain {
            Some(chain) if !chain.is_stream && seq < chain.before.seq => format!(
                "the log begins behind line {seq}, so that it had the head that was given does not show; name the older files too"
            ),
            _ => format!(
                "the log was rewritten: it does not have a line {seq} with the hash of the head that was given"
            ),
        }
    }
}

/// The name of a file of a log. A copy under another name is `None`.
fn name_of(path: &Path) -> Option<FileName> {
    path.file_name()?.to_str().and_then(FileName::parse)
}
