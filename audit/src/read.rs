//! Reads the lines of a log in their order, as bytes: of a folder, or of files.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    error::AuditError,
    folder::names,
    line::{LONGEST, Line},
};

/// The longest piece without a line feed that is read. A killed process leaves at most one write of a mebibyte.
const LONGEST_PIECE: u64 = 8 << 20;

/// The bytes of a line and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawLine {
    /// The index of its file among those that are read.
    pub file: usize,
    /// The number of the line in its file, from 1.
    pub number: u64,
    /// Its bytes with its line feed. Only the last line of a file can lack it.
    pub bytes: Vec<u8>,
}

impl RawLine {
    /// Whether it ends with a line feed.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The line. `None` when it is not whole, or not of an audit log.
    #[must_use]
    pub fn parse(&self) -> Option<Line> {
        Line::parse(&self.bytes).filter(|_| self.is_ended())
    }
}

/// The files of a log: those of a folder from the oldest to the newest, or the files that `paths` name, in that order.
///
/// # Errors
/// When a path does not exist, or a folder has no files of a log.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, AuditError> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(AuditError::io("read", path))?;
        if !metadata.is_dir() {
            files.push(path.clone());
            continue;
        }
        let names = names::list(path)?;
        files.extend(names.iter().map(|name| path.join(name.to_string())));
        if names.is_empty() {
            return Err(AuditError::NoLog(path.clone()));
        }
    }
    Ok(files)
}

/// The lines of files, one file after the other.
#[derive(Debug)]
pub struct Lines {
    files: Vec<PathBuf>,
    index: usize,
    open: Option<BufReader<File>>,
    number: u64,
}

impl Lines {
    /// The lines of `files`.
    #[must_use]
    pub fn of(files: &[PathBuf]) -> Self {
        Self {
            files: files.to_vec(),
            index: 0,
            open: None,
            number: 0,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<RawLine>, AuditError> {
        loop {
            let Some(path) = self.files.get(self.index) else {
                return Ok(None);
            };
            let reader = match &mut self.open {
                Some(reader) => reader,
                none => {
                    self.number = 0;
                    none.insert(open(path)?)
                }
            };
            let mut bytes = Vec::new();
            reader
                .take(LONGEST_PIECE)
                .read_until(b'\n', &mut bytes)
                .map_err(AuditError::io("read", path))?;
            if bytes.is_empty() {
                self.open = None;
                self.index += 1;
                continue;
            }
            self.number += 1;
            return Ok(Some(RawLine {
                file: self.index,
                number: self.number,
                bytes,
            }));
        }
    }
}

impl Iterator for Lines {
    type Item = Result<RawLine, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

fn open(path: &Path) -> Result<BufReader<File>, AuditError> {
    let file = File::open(path).map_err(AuditError::io("read", path))?;
    Ok(BufReader::with_capacity(LONGEST, file))
}
