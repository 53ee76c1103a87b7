//! A log in the files of a folder: `audit-00000001.jsonl`, `audit-00000002.jsonl` and so on. One chain goes through all of
//! them.
//!
//! Beside them are `lock`, which one process holds, and `head`, which names the last line that was written.

mod access;
mod head_file;
mod lock;
pub(crate) mod names;
mod tail;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use self::{head_file::HeadFile, names::FileName, tail::Tail};
use crate::{
    chain::Head,
    destination::{Damage, Destination, Resume, WriteError},
    error::AuditError,
    event::Event,
    options::{AuditOptions, Sync},
};

pub(crate) use self::head_file::{Known, read as read_head};

pub(crate) struct Folder {
    path: PathBuf,
    program: String,
    sync: Sync,
    max_file: u64,
    max_file_age: Duration,
    mode: u32,
    head_file: HeadFile,
    current: Option<Current>,
    /// The end of the first line of a file that is there, and whose name may not survive a power cut yet.
    unsynced: Option<Head>,
    sync_names: fn(&Path) -> io::Result<()>,
    _lock: File,
}

/// The file that is written.
struct Current {
    file: File,
    name: FileName,
    /// The bytes of its whole lines.
    len: u64,
    begun: SystemTime,
    log: String,
}

/// Whether a log could be written into a folder, as far as permissions show it. Nothing is changed.
///
/// # Errors
/// Why not.
pub(crate) fn check(path: &Path) -> Result<(), AuditError> {
    access::check_folder(path)?;
    access::check_writable(path)?;
    let newest = names::list(path)?.pop().map(|name| name.to_string());
    let others = [lock::NAME, head_file::NAME].map(str::to_owned);
    for name in others.into_iter().chain(newest) {
        let file = path.join(name);
        match fs::symlink_metadata(&file) {
            Ok(metadata) => {
                access::check_file(&file, &metadata)?;
                access::check_writable(&file)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(AuditError::io("read", file)(error)),
        }
    }
    Ok(())
}

impl Folder {
    /// Takes the folder for this process.
    ///
    /// # Errors
    /// When the folder is missing, others may change it, or another process has it.
    pub(crate) fn open(path: &Path, options: &AuditOptions) -> Result<Self, AuditError> {
        access::check_folder(path)?;
        let lock = lock::take(path, &options.program)?;
        Ok(Self {
            head_file: HeadFile::open(path)?,
            path: path.to_owned(),
            program: options.program.clone(),
            sync: options.sync,
            max_file: options.max_file,
            max_file_age: options.max_file_age,
            mode: options.file_mode,
            current: None,
            unsynced: None,
            sync_names: access::sync_folder,
            _lock: lock,
        })
    }

    /// Begins the next file. It appears with its first line or not at all.
    fn begin(&mut self, head: Head) -> Result<Head, AuditError> {
        let before = self.current.as_ref();
        let name = before.map_or(FileName::FIRST, |current| current.name.next());
        let log = before.map(|current| current.log.clone());
        let log = log.unwrap_or_else(|| Uuid::new_v4().to_string());
        let previous = before.map(|current| current.name.to_string());
        self.create(name, log, previous.as_deref(), head)
    }

    fn create(
        &mut self,
        name: FileName,
        log: String,
        previous: Option<&str>,
        head: Head,
    ) -> Result<Head, AuditError> {
        let event = Event::new("file")
            .text("log", &log)
            .number("file", name.number())
            .maybe("previous", previous)
            .text("program", &self.program);
        let mut line = Vec::new();
        let first = head.extend(&event.into_body(), &mut line);
        let path = self.path.join(name.to_string());
        let hidden = self.path.join(format!(".{name}.new"));
        let io = |action| AuditError::io(action, &path);
        let _ = fs::remove_file(&hidden);
        let mut options = access::options(self.mode);
        let mut file = options
            .append(true)
            .create_new(true)
            .open(&hidden)
            .map_err(io("create"))?;
        // The process's mask may have taken bits away, which is harmless; it never adds any.
        let written = file.write_all(&line).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| fs::rename(&hidden, &path));
        if moved.is_err() {
            let _ = fs::remove_file(&hidden);
        }
        moved.map_err(io("write"))?;
        // The file is there even if a later step fails: the chain goes on in it.
        self.current = Some(Current {
            file,
            name,
            len: line.len() as u64,
            begun: SystemTime::now(),
            log,
        });
        self.unsynced = Some(first);
        self.keep_name(first)?;
        Ok(first)
    }

    /// Makes the name of a new file survive a power cut.
    fn keep_name(&mut self, first: Head) -> Result<(), AuditError> {
        (self.sync_names)(&self.path).map_err(AuditError::io("write", &self.path))?;
        self.unsynced = None;
        self.note(first);
        Ok(())
    }

    /// Opens the newest file, and finds its end.
    fn reopen(&mut self, name: FileName, known: Option<&Known>) -> Result<Resume, AuditError> {
        let path = self.path.join(name.to_string());
        let io = |action| AuditError::io(action, &path);
        let mut options = access::options(self.mode);
        let mut file = options
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|error| access::not_opened(&path, error))?;
        access::check_file(&path, &file.metadata().map_err(io("read"))?)?;
        let tail = Tail::read(&mut file, &path)?;
        let (lost, is_changed) = match known {
            Some(known) if known.head.seq > tail.last.seq => {
                (known.head.seq - tail.last.seq, false)
            }
            Some(known) => (
                0,
                known.head.seq == tail.last.seq && known.head.hash != tail.last.hash,
            ),
            None => (0, false),
        };
        let damage = Damage {
            last: tail.last,
            torn: tail.torn.clone(),
            lost,
            is_changed,
        };
        let is_whole = damage.torn.is_none() && lost == 0 && !is_changed;
        self.current = Some(Current {
            file,
            name,
            len: tail.len,
            begun: tail.begun,
            log: tail.log,
        });
        Ok(Resume {
            head: tail.end,
            damage: (!is_whole).then_some(damage),
            needs_line_feed: tail.needs_line_feed,
            is_new_chain: false,
        })
    }

    /// The head file is a help, and not the log: a failure is logged only.
    fn note(&mut self, head: Head) {
        let Some(current) = &self.current else { return };
        self.head_file.write(&Known {
            log: current.log.clone(),
            file: current.name,
            head,
        });
    }
}

impl Destination for Folder {
    fn resume(&mut self) -> Result<Resume, AuditError> {
        self.unsynced = None;
        let known = head_file::read(&self.path);
        let files = names::list(&self.path)?;
        if let Some(newest) = files.last() {
            return self.reopen(*newest, known.as_ref());
        }
        let Some(known) = known else {
            return Ok(Resume::at(self.begin(Head::START)?));
        };
        // Every file is gone. The chain goes on, so that this shows.
        let previous = known.file.to_string();
        let name = known.file.next();
        let head = self.create(name, known.log.clone(), Some(&previous), known.head)?;
        Ok(Resume {
            damage: Some(Damage {
                last: head,
                torn: None,
                lost: known.head.seq,
                is_changed: false,
            }),
            ..Resume::at(head)
        })
    }

    fn begin_if_due(&mut self, head: Head, len: usize) -> Result<Option<Head>, AuditError> {
        if let Some(first) = self.unsynced {
            self.keep_name(first)?;
            return Ok(Some(first));
        }
        let Some(current) = &self.current else {
            return Ok(None);
        };
        let is_full = current.len.saturating_add(len as u64) > self.max_file;
        let age = current.begun.elapsed().unwrap_or_default();
        if is_full || age > self.max_file_age {
            return self.begin(head).map(Some);
        }
        Ok(None)
    }

    fn write(&mut self, lines: &[u8], head: Head) -> Result<(), WriteError> {
        let Some(current) = &mut self.current else {
            return Err(WriteError {
                error: std::io::ErrorKind::NotFound.into(),
                is_unknown: true,
            });
        };
        if let Err(error) = current.file.write_all(lines) {
            // Only whole lines stay.
            let cut = current.file.set_len(current.len);
            return Err(WriteError {
                error,
                is_unknown: cut.is_err(),
            });
        }
        if self.sync == Sync::Fsync
            && let Err(error) = current.file.sync_data()
        {
            // The lines are in the file, and may not be on the disk.
            return Err(WriteError {
                error,
                is_unknown: true,
            });
        }
        current.len += lines.len() as u64;
        self.note(head);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verifier;

    #[test]
    fn a_new_file_whose_name_is_not_safe_yet_is_the_one_that_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let options = AuditOptions::folder(folder.path());
        let mut log = Folder::open(folder.path(), &options).unwrap();
        let head = log.resume().unwrap().head;
        let sync = std::mem::replace(&mut log.sync_names, |_| Err(io::ErrorKind::Other.into()));
        for _ in 0..2 {
            log.begin_if_due(head, usize::MAX).unwrap_err();
        }
        log.sync_names = sync;
        // The next attempt is smaller, so a new file is not due any more.
        let head = log.begin_if_due(head, 1).unwrap().unwrap();
        let mut line = Vec::new();
        let head = head.extend(&Event::new("stop").into_body(), &mut line);
        log.write(&line, head).unwrap();
        let report = Verifier::new().verify(&[folder.path().to_owned()]).unwrap();
        assert!(report.ok, "{report:?}");
        assert_eq!((report.lines, report.files.len()), (3, 2));
        assert_eq!(report.last, Some(head));
    }
}
