//! Verifies a log: finds the first line that was changed, removed, moved, added or cut off.

mod chains;
mod check;
mod diagnosis;
mod ends;
mod report;
mod window;

use std::path::PathBuf;

use temporal_kms::PublicKey;

use self::ends::Ends;
pub use self::report::{Finding, FindingKind, LastAnchor, Report};
use crate::{chain::Head, error::AuditError, read};

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
        check::run(self, &files, ends)
    }
}
