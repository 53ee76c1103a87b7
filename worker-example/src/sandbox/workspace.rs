//! The folders of one task. They are created when it begins and removed when it ends.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::unistd::getuid;
use tempfile::TempDir;

use crate::task::{TaskId, TaskRequest};

const LOCK: &str = "lock";
/// The lock file of all tasks. [`Workspace::create`] holds a shared lock until the task's folder has its own lock, and
/// [`sweep`] holds an exclusive one.
const ALL_TASKS_LOCK: &str = "tasks.lock";
const PASSWD: &str = "passwd";
const GROUP: &str = "group";
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// A task's folder below the worker's: `workspace/` to work in, `home/`, `tmp/`, and the system prompts. Only the worker's
/// user may enter it. [`Workspace::remove`] removes it. Dropping it does so, too, but does not change the modes of closed
/// folders.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: TempDir,
    /// The worker and the supervisor hold a shared lock. While either runs, no sweep removes the folder.
    _lock: File,
}

impl Workspace {
    /// Creates the folders of a task below `workdir/tasks`.
    ///
    /// # Errors
    /// When they cannot be created.
    pub(crate) fn create(workdir: &Path, task: &TaskId) -> io::Result<Self> {
        let tasks = workdir.join("tasks");
        private_folder(&tasks)?;
        let all_tasks = File::create(workdir.join(ALL_TASKS_LOCK))?;
        all_tasks.lock_shared()?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{task}."))
            .permissions(Permissions::from_mode(PRIVATE_FOLDER))
            .tempdir_in(&tasks)?;
        let lock = private_file(&folder.path().join(LOCK))?;
        lock.lock_shared()?;
        let workspace = Self {
            folder,
            _lock: lock,
        };
        for path in [workspace.root(), workspace.home(), workspace.temporary()] {
            DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
        }
        Ok(workspace)
    }

    /// Writes the system prompts of the task.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn fill(&self, request: &TaskRequest) -> io::Result<()> {
        for (text, path) in [
            (&request.system_prompt, self.system_prompt()),
            (&request.append_system_prompt, self.append_system_prompt()),
        ] {
            if let Some(text) = text {
                private_file(&path)?.write_all(text.expose().as_bytes())?;
            }
        }
        Ok(())
    }

    /// Makes the folders usable for the programs of a task: their user, and whether they see the folders where they are and
    /// not in a view of their own.
    ///
    /// # Errors
    /// When a file cannot be written, or a mode cannot be set.
    pub(super) fn prepare_for(&self, user: Option<u32>, is_visible: bool) -> io::Result<()> {
        let id = user.unwrap_or_else(|| getuid().as_raw());
        let home = self.home();
        for (file, text) in accounts(id, &home.to_string_lossy()) {
            let path = self.folder.path().join(file);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        }
        if user.is_some() && is_visible {
            // The user may go through, and cannot list or read.
            let tasks = self.folder.path().parent();
            let above = [
                Some(self.folder.path()),
                tasks,
                tasks.and_then(Path::parent),
            ];
            for folder in above.into_iter().flatten() {
                fs::set_permissions(folder, Permissions::from_mode(0o711))?;
            }
        }
        Ok(())
    }

    pub(super) fn folders(&self) -> TaskFolders {
        TaskFolders {
            task: self.folder.path().to_owned(),
            root: self.root(),
            home: self.home(),
            temporary: self.temporary(),
            lock: self.lock(),
            of_task: [
                self.root(),
                self.home(),
                self.temporary(),
                self.system_prompt(),
                self.append_system_prompt(),
            ],
        }
    }

    /// The working folder of Claude Code.
    #[must_use]
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// `HOME` of the task.
    #[must_use]
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// `TMPDIR` of the task.
    #[must_use]
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The folder of the service's own repository and of the key for it. No program of the task sees it, apart from git.
    #[must_use]
    pub(crate) fn git(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    /// The file with the text that replaces the system prompt.
    #[must_use]
    pub(crate) fn system_prompt(&self) -> PathBuf {
        self.folder.path().join("system-prompt")
    }

    /// The file with the text that extends the system prompt.
    #[must_use]
    pub(crate) fn append_system_prompt(&self) -> PathBuf {
        self.folder.path().join("append-system-prompt")
    }

    /// The file on which the supervisor holds a shared lock while processes of the task run.
    #[must_use]
    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.path().join(LOCK)
    }

    /// Removes the folder with all its contents, including folders that the task closed by their modes.
    ///
    /// # Errors
    /// When something cannot be removed. The next sweep tries again.
    pub(crate) fn remove(self) -> io::Result<()> {
        let path = self.folder.keep();
        remove_tree(&path)
    }
}

/// The paths of a task's folders.
#[derive(Clone, Debug)]
pub(super) struct TaskFolders {
    pub(super) task: PathBuf,
    pub(super) root: PathBuf,
    pub(super) home: PathBuf,
    pub(super) temporary: PathBuf,
    pub(super) lock: PathBuf,
    of_task: [PathBuf; 5],
}

impl TaskFolders {
    /// What belongs to the task's user: the folders that it writes, and the system prompts.
    pub(super) fn of_task(&self) -> impl Iterator<Item = &PathBuf> {
        self.of_task.iter()
    }

    /// The folders that every program of the task may write.
    pub(super) fn writable(&self) -> &[PathBuf] {
        self.of_task.get(..3).unwrap_or_default()
    }

    /// The files of the system prompts, which may be missing.
    pub(super) fn prompts(&self) -> impl Iterator<Item = &PathBuf> {
        self.of_task.iter().skip(3)
    }

    /// The lists of users and groups that the task sees, and where.
    pub(super) fn accounts(&self) -> Vec<(PathBuf, PathBuf)> {
        [PASSWD, GROUP]
            .map(|file| (self.task.join(file), Path::new("/etc").join(file)))
            .to_vec()
    }
}

/// Lists with the task's user. Programs such as ssh need its name and its home.
fn accounts(id: u32, home: &str) -> [(&'static str, String); 2] {
    let mut passwd = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".to_owned();
    let mut group = "nogroup:x:65534:\n".to_owned();
    if id != 0 {
        passwd.push_str("root:x:0:0:root:/root:/usr/sbin/nologin\n");
        group.push_str("root:x:0:\n");
    }
    // The first line of an id counts.
    passwd.insert_str(0, &format!("task:x:{id}:{id}:task:{home}:/bin/sh\n"));
    group.insert_str(0, &format!("task:x:{id}:\n"));
    [(PASSWD, passwd), (GROUP, group)]
}

/// Whether a path leads to a file that can be executed.
pub(super) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Removes the folders of tasks whose worker and supervisor have both ended, apart from folders that have changed within `age`.
/// Returns how many.
///
/// # Errors
/// When the folder of tasks cannot be read.
pub(crate) fn sweep(workdir: &Path, age: Duration) -> io::Result<usize> {
    let abandoned = workdir.join("abandoned");
    let entries = match fs::read_dir(workdir.join("tasks")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    private_folder(&abandoned)?;
    let all_tasks = File::create(workdir.join(ALL_TASKS_LOCK))?;
    all_tasks.lock()?;
    for entry in entries {
        let entry = entry?;
        // A folder without the lock file is left from a removal that was interrupted.
        let held = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_err(),
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        };
        // Other tasks wait for the lock, and a folder can have millions of files. So it is only moved here and removed later.
        if !held && is_older(&entry.path(), age) {
            move_away(&entry.path(), &abandoned.join(entry.file_name()));
        }
    }
    drop(all_tasks);
    let mut removed = 0;
    for entry in fs::read_dir(abandoned)? {
        let path = entry?.path();
        match remove_tree(&path) {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove a task's folder");
            }
        }
    }
    Ok(removed)
}

/// Whether a path has not changed for at least this long. A task can change the time of modification, so the time of the last
/// change counts, which only the kernel sets. A time in the future is that of a clock that was set back, and counts as old.
pub(crate) fn is_older(path: &Path, age: Duration) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    let changed = u64::try_from(metadata.ctime()).map(Duration::from_secs);
    let changed = UNIX_EPOCH + changed.unwrap_or_default();
    match SystemTime::now().duration_since(changed) {
        Ok(passed) => passed >= age,
        Err(_) => true,
    }
}

fn move_away(from: &Path, to: &Path) {
    if let Err(error) = fs::rename(from, to) {
        tracing::warn!(path = %from.display(), %error, "cannot remove a task's folder");
    }
}

/// Creates a folder that only its owner may enter, and its parents.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(path)
}

/// Creates a new file that only its owner may read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(path)
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            unlock_tree(path);
            fs::remove_dir_all(path)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes every folder of a tree writable. It follows no link. Failures show when the tree is removed.
fn unlock_tree(path: &Path) {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, Permissions::from_mode(PRIVATE_FOLDER));
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn is_private_and_goes_away() {
        let workdir = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(workdir.path(), &"t".parse().unwrap()).unwrap();
        let request = TaskRequest::from_value(json!({"prompt": "p", "anthropicApiKey": "k",
            "systemPrompt": "s"}));
        workspace.fill(&request.unwrap()).unwrap();
        for folder in [workspace.root(), workspace.home(), workspace.temporary()] {
            assert_eq!(mode(&folder), 0o700);
        }
        assert_eq!(mode(&workspace.system_prompt()), 0o600);

        let locked = workspace.root().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
        workspace.remove().unwrap();
        assert_eq!(
            fs::read_dir(workdir.path().join("tasks")).unwrap().count(),
            0
        );
    }

    #[test]
    fn removing_follows_no_link() {
        let workdir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let workspace = Workspace::create(workdir.path(), &"t".parse().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path(), workspace.root().join("link")).unwrap();
        workspace.remove().unwrap();
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn sweeps_only_what_nobody_holds() {
        let workdir = tempfile::tempdir().unwrap();
        assert_eq!(sweep(workdir.path(), Duration::ZERO).unwrap(), 0);
        let held = Workspace::create(workdir.path(), &"held".parse().unwrap()).unwrap();
        let left = Workspace::create(workdir.path(), &"left".parse().unwrap()).unwrap();
        let Workspace {
            folder,
            _lock: lock,
        } = left;
        let left = folder.keep();
        assert_eq!(sweep(workdir.path(), Duration::ZERO).unwrap(), 0);
        drop(lock);
        assert_eq!(sweep(workdir.path(), Duration::from_hours(1)).unwrap(), 0);
        assert_eq!(sweep(workdir.path(), Duration::ZERO).unwrap(), 1);
        assert!(!left.exists() && held.root().exists());
    }
}
