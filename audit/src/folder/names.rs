//! The names of the files of a log.

use std::{fmt, fs, io, path::Path};

use crate::error::AuditError;

/// The name of a file: `audit-00000001.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName(u64);

impl FileName {
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Reads a name. Other files, such as copies, are `None`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
        let number = digits.parse().ok().map(Self)?;
        (number.to_string() == name).then_some(number)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit-{:08}.jsonl", self.0)
    }
}

/// The files of a folder, from the oldest to the newest.
pub(crate) fn list(folder: &Path) -> Result<Vec<FileName>, AuditError> {
    let io = |error: io::Error| AuditError::io("read", folder)(error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        names.extend(name.to_str().and_then(FileName::parse));
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_files_of_a_log() {
        assert_eq!(FileName::FIRST.to_string(), "audit-00000001.jsonl");
        assert_eq!(FileName::parse("audit-00000007.jsonl"), Some(FileName(7)));
        let large = FileName(123_456_789);
        assert_eq!(FileName::parse(&large.to_string()), Some(large));
        for other in [
            "audit-7.jsonl",
            "audit-00000007.jsonl.1",
            ".audit-00000007.jsonl.new",
            "audit-+0000007.jsonl",
            "head",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
