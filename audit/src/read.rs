//! Reads the lines of a log in their order, as bytes: of a folder, or of files.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
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

/// New lines of a log, also in new files.
#[derive(Debug)]
pub struct Follower {
    /// The folder, if the log is one.
    folder: Option<PathBuf>,
    file: PathBuf,
    name: Option<names::FileName>,
    open: File,
    /// Where the next line begins.
    position: u64,
}

impl Follower {
    /// Begins behind the last whole line that is there now.
    ///
    /// # Errors
    /// When there is no log, or it cannot be read.
    pub fn at_end(path: &Path) -> Result<Self, AuditError> {
        let file = files(&[path.to_owned()])?;
        let file = file
            .last()
            .ok_or_else(|| AuditError::NoLog(path.to_owned()))?;
        let is_folder = fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let mut follower = Self::open(file, is_folder.then(|| path.to_owned()))?;
        let mut lines = Lines::of(std::slice::from_ref(file));
        while let Some(line) = lines.next_line()?.filter(RawLine::is_ended) {
            follower.position += line.bytes.len() as u64;
        }
        Ok(follower)
    }

    /// Whether a line that [`Lines`] gave is one of those that this follower will give. `files` are those of the lines.
    #[must_use]
    pub fn is_ahead(&self, files: &[PathBuf], line: &RawLine) -> bool {
        let is_newer = files.get(line.file).is_some_and(|file| *file > self.file);
        is_newer && self.folder.is_some() || !line.is_ended() && !is_newer
    }

    /// The whole lines that were added.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn new_lines(&mut self) -> Result<Vec<Vec<u8>>, AuditError> {
        let mut lines = self.more()?;
        if lines.is_empty()
            && let Some(next) = self.next_file()?
        {
            // Lines may have been added before the new file was begun.
            lines = self.more()?;
            *self = Self::open(&next, self.folder.clone())?;
            lines.extend(self.more()?);
        }
        Ok(lines)
    }

    fn open(file: &Path, folder: Option<PathBuf>) -> Result<Self, AuditError> {
        let name = file.file_name().and_then(|name| name.to_str());
        Ok(Self {
            folder,
            file: file.to_owned(),
            name: name.and_then(names::FileName::parse),
            open: File::open(file).map_err(AuditError::io("read", file))?,
            position: 0,
        })
    }

    fn more(&mut self) -> Result<Vec<Vec<u8>>, AuditError> {
        let mut bytes = Vec::new();
        self.open
            .seek(SeekFrom::Start(self.position))
            .and_then(|_| (&self.open).take(LONGEST_PIECE).read_to_end(&mut bytes))
            .map_err(AuditError::io("read", &self.file))?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let whole: Vec<Vec<u8>> = lines
            .filter(|line| line.ends_with(b"\n"))
            .map(<[u8]>::to_vec)
            .collect();
        self.position += whole.iter().map(|line| line.len() as u64).sum::<u64>();
        Ok(whole)
    }

    fn next_file(&self) -> Result<Option<PathBuf>, AuditError> {
        let (Some(folder), Some(name)) = (&self.folder, self.name) else {
            return Ok(None);
        };
        let names = names::list(folder)?;
        let next = names.into_iter().find(|other| *other > name);
        Ok(next.map(|next| folder.join(next.to_string())))
    }
}
