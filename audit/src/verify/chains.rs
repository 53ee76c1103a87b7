//! The chain that is verified. A log of files is one chain; a stream begins a new one at each start.

use crate::{
    anchor::Anchor,
    chain::{Hash, Head},
    line::Line,
};

/// A chain on its way.
pub(super) struct Chain {
    /// Whether it goes out line by line, so that another chain can follow it.
    pub(super) is_stream: bool,
    /// The line before the first one that was given, as that one knows it.
    pub(super) before: Head,
    /// The last line that an anchor covers.
    pub(super) anchored: Option<u64>,
}

/// The line that an anchor is about.
pub(super) enum Anchored {
    /// It was seen, with this hash.
    Known,
    /// It was not given, so the anchor says nothing of the lines that were.
    Earlier,
    /// It is another one.
    Other,
}

impl Chain {
    /// A chain whose first line is `line`.
    pub(super) fn beginning(line: &Line) -> Self {
        Self {
            is_stream: line.event() == "stream",
            before: Head::new(line.seq.saturating_sub(1), line.prev),
            anchored: None,
        }
    }

    /// Which line an anchor is about. `seen` is the hash of the line with that number in this chain.
    pub(super) fn anchored(&self, anchor: &Anchor<'_>, seen: Option<Hash>) -> Anchored {
        let Head { seq, hash } = anchor.head;
        match seen {
            Some(seen) if seen == hash => Anchored::Known,
            None if seq > 0 && anchor.head == self.before => Anchored::Known,
            None if seq < self.before.seq => Anchored::Earlier,
            _ => Anchored::Other,
        }
    }

    /// How many lines up to `last` are behind the last anchor.
    pub(super) fn unanchored(&self, last: Head) -> u64 {
        let covered = self.anchored.unwrap_or(self.before.seq);
        last.seq.saturating_sub(covered)
    }
}

/// Whether this line begins a chain of a stream.
pub(super) fn begins(line: &Line) -> bool {
    line.event() == "stream" && line.seq == 1 && line.prev == Hash::ZERO
}

/// The last line of the chain before, as the first line of a chain names it.
pub(super) fn before(line: &Line) -> Option<Head> {
    line.text("before")?.parse().ok()
}
