//! What is known of a log's end from elsewhere: its head file, and heads that a person noted.

use std::path::PathBuf;

use crate::{chain::Head, folder::read_head};

pub(super) struct Ends {
    known: Vec<(Head, &'static str)>,
}

impl Ends {
    pub(super) fn of(paths: &[PathBuf], noted: &[Head]) -> Self {
        let files = paths.iter().filter(|path| path.is_dir());
        let files = files.filter_map(|folder| read_head(folder));
        let files = files.map(|known| (known.head, "the file `head`"));
        let noted = noted.iter().map(|head| (*head, "the head that was given"));
        Self {
            known: files.chain(noted).collect(),
        }
    }

    /// The number of the newest line that was written.
    pub(super) fn newest(&self) -> u64 {
        let seqs = self.known.iter().map(|(head, _)| head.seq);
        seqs.max().unwrap_or(0)
    }

    /// Which head says that the line has another hash.
    pub(super) fn contradicted_by(&self, line: Head) -> Option<&'static str> {
        let other = |(head, _): &&(Head, &str)| head.seq == line.seq && head.hash != line.hash;
        self.known.iter().find(other).map(|(_, how)| *how)
    }

    /// Whether a head says that the line has this hash.
    pub(super) fn confirms(&self, line: Head) -> Option<bool> {
        let same = self.known.iter().find(|(head, _)| head.seq == line.seq);
        same.map(|(head, _)| head.hash == line.hash)
    }
}
