//! What is known of a log's end from elsewhere: its head file, and heads that a person noted.

use std::path::PathBuf;

use crate::{chain::Head, folder::read_head};

pub(super) struct Ends {
    known: Vec<Known>,
}

/// A head that the log must have.
struct Known {
    head: Head,
    how: &'static str,
    /// Whether a person noted it. The head file alone can be older than the first line that was given.
    is_noted: bool,
    is_seen: bool,
}

impl Ends {
    pub(super) fn of(paths: &[PathBuf], noted: &[Head]) -> Self {
        let known = |head, how, is_noted| Known {
            head,
            how,
            is_noted,
            is_seen: false,
        };
        let files = paths.iter().filter(|path| path.is_dir());
        let files = files.filter_map(|folder| read_head(folder));
        let files = files.map(|file| known(file.head, "the file `head`", false));
        let noted = noted.iter();
        let noted = noted.map(|head| known(*head, "the head that was given", true));
        Self {
            known: files.chain(noted).collect(),
        }
    }

    /// The log has this line.
    pub(super) fn saw(&mut self, line: Head) {
        for known in &mut self.known {
            known.is_seen |= known.head == line;
        }
    }

    /// The number of the newest line that was written, as far as it was not seen yet.
    pub(super) fn newest(&self) -> u64 {
        let open = self.known.iter().filter(|known| !known.is_seen);
        open.map(|known| known.head.seq).max().unwrap_or(0)
    }

    /// A head that a person noted, and whose line was not seen.
    pub(super) fn missing(&self) -> Option<Head> {
        let missing = |known: &&Known| known.is_noted && !known.is_seen;
        self.known.iter().find(missing).map(|known| known.head)
    }

    /// Which head says that the line has another hash. In a stream, numbers repeat, so a noted head can be about a line of
    /// another chain.
    pub(super) fn contradicted_by(&self, line: Head, is_stream: bool) -> Option<&'static str> {
        let other = |known: &&Known| {
            known.head.seq == line.seq
                && known.head.hash != line.hash
                && !(is_stream && known.is_noted)
        };
        self.known.iter().find(other).map(|known| known.how)
    }

    /// Whether a head says that the line has this hash.
    pub(super) fn confirms(&self, line: Head) -> Option<bool> {
        let same = self.known.iter().find(|known| known.head.seq == line.seq);
        same.map(|known| known.head.hash == line.hash)
    }
}
