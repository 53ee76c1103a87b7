//! The log of a task: its events as JSON lines in a folder of its own.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::{
    fs::File,
    io::{AsyncWriteExt as _, BufWriter},
};

use crate::{
    sandbox::{private_file, private_folder},
    store::StoreLog,
    task::TaskId,
};

/// The size at which a file is closed and the next one begins, in bytes.
const CHUNK_BYTES: u64 = 8 << 20;
const MAX_CHUNKS: u32 = 999;
/// The empty file which shows that the task's session has begun.
const BEGUN: &str = "begun";
/// The lock file of all logs. [`TaskLog::create`] holds a shared lock while it opens a folder, and [`expire`] holds an exclusive
/// one while it chooses old folders.
const ALL_LOGS_LOCK: &str = "sessions.lock";
/// The size of the write buffer, in bytes. Each write to a file costs a change to another thread.
const BUFFER_BYTES: usize = 64 << 10;

/// The log of one run: `sessions/{taskId}/NNN-YYYYMMDD-HHMMSS.jsonl` below the worker's folder. The files have mode 0600 and
/// the folders mode 0700. Files of an earlier run of the same task stay.
#[derive(Debug)]
pub(crate) struct TaskLog {
    folder: PathBuf,
    path: String,
    chunk: Option<Chunk>,
    next: u32,
    chunk_bytes: u64,
    /// Where the log is written instead of the folder.
    store: Option<StoreLog>,
}

#[derive(Debug)]
struct Chunk {
    file: BufWriter<File>,
    bytes: u64,
}

impl TaskLog {
    /// Opens the log of a task.
    ///
    /// # Errors
    /// When the folder cannot be created or read.
    pub(crate) fn create(workdir: &Path, task: &TaskId) -> io::Result<Self> {
        let path = format!("sessions/{task}");
        let folder = workdir.join(&path);
        private_folder(workdir)?;
        let all_logs = std::fs::File::create(workdir.join(ALL_LOGS_LOCK))?;
        all_logs.lock_shared()?;
        private_folder(&folder)?;
        // A new time keeps an old folder from expiring during this run.
        std::fs::File::open(&folder)?.set_modified(SystemTime::now())?;
        drop(all_logs);
        let mut next = 0;
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|n| n.split_once('-'))
                .and_then(|(n, _)| n.parse().ok());
            next = next.max(number.map_or(0, |n: u32| n.saturating_add(1)));
        }
        Ok(Self {
            folder,
            path,
            chunk: None,
            next,
            chunk_bytes: CHUNK_BYTES,
            store: None,
        })
    }

    /// The log's folder, relative to the worker's folder.
    #[must_use]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Writes the log to a store. The folder keeps only the mark that the session has begun.
    pub(crate) fn write_to(&mut self, store: StoreLog) {
        self.store = Some(store);
    }

    /// Records that the task's session begins. Only the first run of a task with this log can do this.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when a session has begun before, and other errors when this cannot be recorded.
    pub(crate) fn begin_session(&self) -> io::Result<()> {
        if self.store.as_ref().is_some_and(StoreLog::is_used) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        private_file(&self.folder.join(BEGUN))?.sync_all()?;
        std::fs::File::open(&self.folder)?.sync_all()
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn append(&mut self, line: &str) -> io::Result<()> {
        if let Some(store) = &mut self.store {
            return store.append(line);
        }
        if self
            .chunk
            .as_ref()
            .is_none_or(|chunk| chunk.bytes >= self.chunk_bytes)
        {
            self.close().await?;
            self.chunk = Some(self.begin(SystemTime::now())?);
        }
        if let Some(chunk) = &mut self.chunk {
            chunk.file.write_all(line.as_bytes()).await?;
            chunk.file.write_all(b"\n").await?;
            chunk.bytes += line.len() as u64 + 1;
        }
        Ok(())
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if let Some(store) = &mut self.store {
            return store.flush();
        }
        match &mut self.chunk {
            Some(chunk) => chunk.file.flush().await,
            None => Ok(()),
        }
    }

    /// Writes what is still in memory, and closes the current file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        if let Some(store) = &mut self.store {
            return store.close().await;
        }
        if let Some(mut chunk) = self.chunk.take() {
            chunk.file.flush().await?;
        }
        Ok(())
    }

    fn begin(&mut self, now: SystemTime) -> io::Result<Chunk> {
        if self.next > MAX_CHUNKS {
            return Err(io::Error::other("the task's log already has 1000 files"));
        }
        let time = DateTime::<Utc>::from(now).format("%Y%m%d-%H%M%S");
        let file = private_file(&self.folder.join(format!("{:03}-{time}.jsonl", self.next)))?;
        self.next += 1;
        Ok(Chunk {
            file: BufWriter::with_capacity(BUFFER_BYTES, File::from_std(file)),
            bytes: 0,
        })
    }
}

/// Removes the logs of tasks that wrote nothing for `age`. Returns how many.
///
/// # Errors
/// When the folder of logs cannot be read.
pub(crate) fn expire(workdir: &Path, age: Duration) -> io::Result<usize> {
    let entries = match std::fs::read_dir(workdir.join("sessions")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let Some(oldest) = SystemTime::now().checked_sub(age) else {
        return Ok(0);
    };
    let expired = workdir.join("expired");
    private_folder(&expired)?;
    let all_logs = std::fs::File::create(workdir.join(ALL_LOGS_LOCK))?;
    all_logs.lock()?;
    for entry in entries {
        let entry = entry?;
        // Tasks that begin wait for the lock, so folders are only moved here and removed later.
        if last_change(&entry.path()).is_ok_and(|changed| changed < oldest) {
            move_away(&entry.path(), &expired.join(entry.file_name()));
        }
    }
    drop(all_logs);
    let mut removed = 0;
    for entry in std::fs::read_dir(expired)? {
        let path = entry?.path();
        match std::fs::remove_dir_all(&path) {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove an old log");
            }
        }
    }
    Ok(removed)
}

fn move_away(from: &Path, to: &Path) {
    if let Err(error) = std::fs::rename(from, to) {
        tracing::warn!(path = %from.display(), %error, "cannot remove an old log");
    }
}

fn last_change(folder: &Path) -> io::Result<SystemTime> {
    let mut last = folder.symlink_metadata()?.modified()?;
    for entry in std::fs::read_dir(folder)? {
        last = last.max(entry?.metadata()?.modified()?);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn old_logs_go_and_young_ones_stay() {
        let workdir = tempfile::tempdir().unwrap();
        assert_eq!(expire(workdir.path(), Duration::ZERO).unwrap(), 0);
        let hours = |hours| SystemTime::now() - Duration::from_hours(hours);
        for (task, age) in [("old", 48), ("young", 1)] {
            let folder = workdir.path().join("sessions").join(task);
            std::fs::create_dir_all(&folder).unwrap();
            let chunk = std::fs::File::create(folder.join("000.jsonl")).unwrap();
            chunk.set_modified(hours(age)).unwrap();
            std::fs::File::open(&folder)
                .unwrap()
                .set_modified(hours(48))
                .unwrap();
        }
        assert_eq!(expire(workdir.path(), Duration::from_hours(24)).unwrap(), 1);
        assert_eq!(names(&workdir.path().join("sessions")), ["young"]);
        assert_eq!(expire(workdir.path(), Duration::MAX).unwrap(), 0);
    }

    #[test]
    fn an_old_log_does_not_expire_under_a_new_run() {
        let workdir = tempfile::tempdir().unwrap();
        let task: TaskId = "t".parse().unwrap();
        TaskLog::create(workdir.path(), &task).unwrap();
        let folder = workdir.path().join("sessions/t");
        let long_ago = SystemTime::now() - Duration::from_hours(48);
        let folder = std::fs::File::open(folder).unwrap();
        folder.set_modified(long_ago).unwrap();
        TaskLog::create(workdir.path(), &task).unwrap();
        let day = Duration::from_hours(24);
        assert_eq!(expire(workdir.path(), day).unwrap(), 0);
        folder.set_modified(long_ago).unwrap();
        assert_eq!(expire(workdir.path(), day).unwrap(), 1);
        assert_eq!(names(&workdir.path().join("expired")), [""; 0]);
    }

    #[test]
    fn a_session_begins_once() {
        let workdir = tempfile::tempdir().unwrap();
        let task: TaskId = "t".parse().unwrap();
        let log = TaskLog::create(workdir.path(), &task).unwrap();
        log.begin_session().unwrap();
        let again = TaskLog::create(workdir.path(), &task).unwrap();
        let refused = again.begin_session().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        let other = TaskLog::create(workdir.path(), &"other".parse().unwrap()).unwrap();
        other.begin_session().unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn numbers_chunks_and_never_overwrites() {
        let workdir = tempfile::tempdir().unwrap();
        let task: TaskId = "t".parse().unwrap();
        let mut log = TaskLog::create(workdir.path(), &task).unwrap();
        log.chunk_bytes = 4;
        for line in ["{}", "{\"a\":1}", "{}"] {
            log.append(line).await.unwrap();
        }
        log.close().await.unwrap();
        let folder = workdir.path().join("sessions/t");
        let first = names(&folder);
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(
            first[0].starts_with("000-") && first[1].starts_with("001-"),
            "{first:?}"
        );
        assert_eq!(
            std::fs::read_to_string(folder.join(&first[0])).unwrap(),
            "{}\n{\"a\":1}\n"
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&folder), mode(&folder.join(&first[0]))),
            (0o700, 0o600)
        );

        let mut again = TaskLog::create(workdir.path(), &task).unwrap();
        again.append("{}").await.unwrap();
        again.close().await.unwrap();
        assert!(names(&folder)[2].starts_with("002-"));
    }
}
