//! The lines around the one that is checked: those behind for anchors and copies, those ahead for the question what was
//! done.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
};

use crate::{
    chain::{Hash, Head},
    error::AuditError,
    read::{Lines, RawLine},
};

/// How many lines ahead are looked at.
pub(super) const AHEAD: usize = 64;
/// How many lines behind are remembered. An anchor is written long before so many lines follow.
const BEHIND: usize = 1 << 17;
/// The most lines in a row that killed processes leave.
const MOST_TORN: usize = 17;

/// A line that is right.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) head: Head,
    pub(super) place: (usize, u64),
}

pub(super) struct Window {
    lines: Lines,
    ahead: VecDeque<RawLine>,
    behind: VecDeque<Seen>,
    by_hash: HashMap<Hash, u64>,
}

/// Lines that a killed process left, as the next line has them.
pub(super) struct Torn {
    pub(super) bytes: u64,
    /// The hash of the last of them.
    pub(super) hash: Hash,
    /// How many follow the first.
    pub(super) further: usize,
}

impl Window {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        Self {
            lines: Lines::of(files),
            ahead: VecDeque::new(),
            behind: VecDeque::new(),
            by_hash: HashMap::new(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<RawLine>, AuditError> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next_line(),
        }
    }

    /// A line ahead; 0 is the next one.
    pub(super) fn peek(&mut self, index: usize) -> Result<Option<&RawLine>, AuditError> {
        while self.ahead.len() <= index {
            match self.lines.next_line()? {
                Some(line) => self.ahead.push_back(line),
                None => return Ok(None),
            }
        }
        Ok(self.ahead.get(index))
    }

    /// Whether the same line is ahead once more.
    pub(super) fn is_ahead_again(&mut self, line: &RawLine) -> Result<bool, AuditError> {
        for index in 0..AHEAD {
            match self.peek(index)? {
                None => return Ok(false),
                Some(ahead) if ahead.bytes == line.bytes => return Ok(true),
                Some(_) => {}
            }
        }
        Ok(false)
    }

    /// Whether the next line has another hash for this line, so that this line was changed.
    pub(super) fn next_contradicts(&mut self, line: Head) -> Result<bool, AuditError> {
        let next = self.peek(0)?.and_then(RawLine::parse);
        Ok(next.is_some_and(|next| next.seq == line.seq + 1 && next.prev != line.hash))
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), AuditError> {
        for _ in 0..count {
            self.next()?;
        }
        Ok(())
    }

    pub(super) fn remember(&mut self, seen: Seen) {
        if self.behind.len() == BEHIND
            && let Some(oldest) = self.behind.pop_front()
        {
            self.by_hash.remove(&oldest.head.hash);
        }
        self.by_hash.insert(seen.head.hash, seen.head.seq);
        self.behind.push_back(seen);
    }

    /// The hash of a line behind.
    pub(super) fn hash_of(&self, seq: u64) -> Option<Hash> {
        self.seen(seq).map(|seen| seen.head.hash)
    }

    /// A line behind, by its number. Numbers are without gaps, except where a new chain begins.
    pub(super) fn seen(&self, seq: u64) -> Option<&Seen> {
        let last = self.behind.back()?.head.seq;
        let back = usize::try_from(last.checked_sub(seq)?).ok()?;
        let index = self.behind.len().checked_sub(back.checked_add(1)?)?;
        self.behind.get(index).filter(|seen| seen.head.seq == seq)
    }

    /// The number of the line behind that has this hash.
    pub(super) fn seq_of(&self, hash: Hash) -> Option<u64> {
        self.by_hash.get(&hash).copied()
    }

    /// Whether `first`, and lines that follow it, are what a killed process left: the next line of the log says so.
    pub(super) fn torn(&mut self, first: &RawLine, last: Head) -> Result<Option<Torn>, AuditError> {
        let mut all = first.bytes.clone();
        let mut end = Hash::of(&first.bytes);
        for further in 0..MOST_TORN {
            let Some(next) = self.peek(further)? else {
                return Ok(None);
            };
            let Some(line) = next.parse() else {
                all.extend_from_slice(&next.bytes);
                end = Hash::of(&next.bytes);
                continue;
            };
            let bytes = all.len() as u64;
            let is_told = line.event() == "recovered"
                && line.hash("last") == Some(last.hash)
                && line.number("torn_lines") == Some(further as u64 + 1)
                && line.number("torn_bytes") == Some(bytes)
                && line.hash("torn_sha256") == Some(Hash::of(&all))
                && line.prev == end
                && line.seq == last.seq.saturating_add(1);
            return Ok(is_told.then_some(Torn {
                bytes,
                hash: end,
                further,
            }));
        }
        Ok(None)
    }
}
