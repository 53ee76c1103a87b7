//! What the writer needs of a place where lines go.

use std::io;

use crate::{
    chain::{Hash, Head},
    error::AuditError,
};

/// A place where lines go. Only the writer's thread uses it.
pub(crate) trait Destination: Send {
    /// Finds the place where the chain goes on. Called at the start, and after a failure that left the end unknown.
    fn resume(&mut self) -> Result<Resume, AuditError>;

    /// Begins a new file or stream, if that is due before `len` more bytes. Returns the place behind its first line.
    fn begin_if_due(&mut self, head: Head, len: usize) -> Result<Option<Head>, AuditError> {
        let _ = (head, len);
        Ok(None)
    }

    /// Writes whole lines. They end at `head`. After an error, the destination says by `is_unknown` whether some bytes of
    /// them may have been written.
    fn write(&mut self, lines: &[u8], head: Head) -> Result<(), WriteError>;
}

/// Why lines were not written.
#[derive(Debug)]
pub(crate) struct WriteError {
    pub(crate) error: io::Error,
    /// Whether some of the lines may have been written, so that the writer has to resume.
    pub(crate) is_unknown: bool,
}

/// Where the chain goes on.
#[derive(Debug)]
pub(crate) struct Resume {
    /// The last line, whole or torn.
    pub(crate) head: Head,
    /// What was found at the end, unless everything is as it was left.
    pub(crate) damage: Option<Damage>,
    /// Whether a torn line has to be ended first.
    pub(crate) needs_line_feed: bool,
    /// Whether it does not go on, but begins anew.
    pub(crate) is_new_chain: bool,
}

/// What the end of a log looked like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The last whole line.
    pub(crate) last: Head,
    /// Lines behind it that are not whole.
    pub(crate) torn: Option<Torn>,
    /// Lines that the head file knows and the log does not have.
    pub(crate) lost: u64,
    /// Whether the last line is not the one that the head file knows.
    pub(crate) is_changed: bool,
}

/// Bytes that a process left when it was killed while it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// How many lines, each ended by a line feed now.
    pub(crate) lines: u64,
    /// How many bytes, with the line feeds.
    pub(crate) bytes: u64,
    /// The hash of these bytes.
    pub(crate) hash: Hash,
}

impl Resume {
    pub(crate) fn at(head: Head) -> Self {
        Self {
            head,
            damage: None,
            needs_line_feed: false,
            is_new_chain: false,
        }
    }
}
