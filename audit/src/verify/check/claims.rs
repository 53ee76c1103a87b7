//! What a line says of its file and of the log: its place, an anchor, a gap, a recovery.

use std::path::Path;

use super::{
    super::{
        chains::Anchored,
        report::{Finding, FindingKind, LastAnchor},
        window::Window,
    },
    Check,
};
use crate::{anchor::Anchor, folder::names::FileName, line::Line, read::RawLine};

impl Check<'_> {
    /// A file has the name that its first line says, and no line `file` is inside.
    pub(super) fn file_name(&mut self, raw: &RawLine, line: &Line) -> Option<Finding> {
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
    pub(super) fn event(&mut self, raw: &RawLine, line: &Line, window: &Window) -> Option<Finding> {
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
}

/// The name of a file of a log. A copy under another name is `None`.
fn name_of(path: &Path) -> Option<FileName> {
    path.file_name()?.to_str().and_then(FileName::parse)
}
