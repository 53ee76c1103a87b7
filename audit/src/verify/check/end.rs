//! What is checked where a log or a chain ends.

use super::{
    super::{
        chains::Chain,
        report::{Finding, FindingKind},
    },
    Check,
};
use crate::chain::Head;

impl Check<'_> {
    /// What shows only at the end.
    pub(super) fn end(&mut self) -> Option<Finding> {
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

    /// A chain that ends without a signed anchor, where one is required.
    pub(super) fn without_anchor(&self, chain: &Chain, last: Head) -> Option<Finding> {
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
}
