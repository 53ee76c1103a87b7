//! The folders of one task: made for it, and gone with it.

use crate::{request::TaskRequest, task_id::TaskId};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const LOCK: &str = "lock";
/// Held shared while a task's folder has no lock of its own yet, and exclusively while sweeping.
const MAKING: &str = "tasks.lock";
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// A task's own folder under the worker's: `workspace/` to work in, `home/`, `tmp/`, and the system
/// prompts. Only the worker's user may enter. [`Workspace::remove`] takes it away; dropping does so,
/// too, with less effort against resistance.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: TempDir,
    /// Held shared by the worker and by the supervisor: while either lives, nobody sweeps.
    _lock: File,
}

impl Workspace {
    /// Makes the folders of a task under `workdir/tasks`.
    ///
    /// # Errors
    /// When they cannot be made.
    pub(crate) fn create(workdir: &Path, task: &TaskId) -> io::Result<Self> {
        let tasks = workdir.join("tasks");
        private_folder(&tasks)?;
        let making = File::create(workdir.join(MAKING))?;
        making.lock_shared()?;
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

    /// Writes what the task brings along: its system prompts and its `.env`.
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
        if !request.environment_secrets.is_empty() {
            let mut file = private_file(&self.root().join(".env"))?;
            for (name, value) in &request.environment_secrets {
                file.write_all(dotenv_line(name, value.expose()).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Where Claude works.
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

    /// The file that replaces the system prompt.
    #[must_use]
    pub(crate) fn system_prompt(&self) -> PathBuf {
        self.folder.path().join("system-prompt")
    }

    /// The file that extends the system prompt.
    #[must_use]
    pub(crate) fn append_system_prompt(&self) -> PathBuf {
        self.folder.path().join("append-system-prompt")
    }

    /// The file to hold a shared lock on while processes of the task may live.
    #[must_use]
    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.path().join(LOCK)
    }

    /// Removes everything, also what the task made unremovable by its modes.
    ///
    /// # Errors
    /// When something stays; the next sweep tries again.
    pub(crate) fn remove(self) -> io::Result<()> {
        let path = self.folder.keep();
        remove_tree(&path)
    }
}

/// Removes the folders of tasks whose worker and supervisor are both gone. Returns how many.
///
/// # Errors
/// When the folder of tasks cannot be read.
pub(crate) fn sweep(workdir: &Path) -> io::Result<usize> {
    let abandoned = workdir.join("abandoned");
    let entries = match fs::read_dir(workdir.join("tasks")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    private_folder(&abandoned)?;
    let making = File::create(workdir.join(MAKING))?;
    making.lock()?;
    for entry in entries {
        let entry = entry?;
        // A folder without the file was half removed.
        let held = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_err(),
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        };
        // Only moved while others wait: what a task left can be millions of files.
        if !held {
            move_away(&entry.path(), &abandoned.join(entry.file_name()));
        }
    }
    drop(making);
    let mut removed = 0;
    for entry in fs::read_dir(abandoned)? {
        let path = entry?.path();
        match remove_tree(&path) {
            Ok(()) => removed += 1,
            Err(error) => tracing::warn!(path = %path.display(), %error, "a task's folder stays"),
        }
    }
    Ok(removed)
}

fn move_away(from: &Path, to: &Path) {
    if let Err(error) = fs::rename(from, to) {
        tracing::warn!(path = %from.display(), %error, "a task's folder stays");
    }
}

/// Makes a folder that only its owner may enter, and its parents.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(path)
}

/// Makes a new file that only its owner may read.
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

/// Makes every folder of a tree writable again, following no link. What fails shows when removing.
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

/// `NAME="value"`, escaped as the common readers of `.env` files understand it.
fn dotenv_line(name: &str, value: &str) -> zeroize::Zeroizing<String> {
    let mut line = zeroize::Zeroizing::new(String::with_capacity(name.len() + value.len() * 2 + 4));
    line.push_str(name);
    line.push_str("=\"");
    for c in value.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '"' | '\\' | '$' | '`' => {
                line.push('\\');
                line.push(c);
            }
            c => line.push(c),
        }
    }
    line.push_str("\"\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn is_private_and_goes_away() {
        let workdir = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(workdir.path(), &"t".parse().unwrap()).unwrap();
        let request = TaskRequest::from_value(json!({"prompt": "p", "anthropicApiKey": "k",
            "systemPrompt": "s", "environmentSecrets": {"A": "x \"$y\"\n"}}));
        workspace.fill(&request.unwrap()).unwrap();
        for folder in [workspace.root(), workspace.home(), workspace.temporary()] {
            assert_eq!(mode(&folder), 0o700);
        }
        let env = workspace.root().join(".env");
        assert_eq!(
            (mode(&env), mode(&workspace.system_prompt())),
            (0o600, 0o600)
        );
        assert_eq!(
            fs::read_to_string(env).unwrap(),
            "A=\"x \\\"\\$y\\\"\\n\"\n"
        );

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
        assert_eq!(sweep(workdir.path()).unwrap(), 0);
        let held = Workspace::create(workdir.path(), &"held".parse().unwrap()).unwrap();
        let left = Workspace::create(workdir.path(), &"left".parse().unwrap()).unwrap();
        let Workspace {
            folder,
            _lock: lock,
        } = left;
        let left = folder.keep();
        assert_eq!(sweep(workdir.path()).unwrap(), 0);
        drop(lock);
        assert_eq!(sweep(workdir.path()).unwrap(), 1);
        assert!(!left.exists() && held.root().exists());
    }
}
