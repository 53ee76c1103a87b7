//! Unix users for tasks. A worker that runs as root gives each running task a user that no other task and no person has.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, lchown},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::unistd::{Uid, User};

use super::{tree, workspace::private_folder};

/// The users of tasks have these ids. Distributions give them to nobody: people's end below 60,000, and systemd's and
/// Debian's own begin there.
const IDS: std::ops::Range<u32> = 58_000..59_900;
/// Where workers of this machine agree on who uses which id.
const LOCKS: &str = "/run/claude-tasks/users";
const KILL_PAUSE: Duration = Duration::from_millis(20);
const KILL_TRIES: u32 = 500;

/// Gives users to tasks.
#[derive(Debug)]
pub(super) struct Users {
    locks: PathBuf,
}

/// The user of one task. Dropping it kills what is left of its processes, and lets another task have the id.
#[derive(Debug)]
pub(super) struct TaskUser {
    id: u32,
    _lock: File,
}

impl Users {
    /// `None` if the worker is not root.
    pub(super) fn new(workdir: &Path) -> io::Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let shared = PathBuf::from(LOCKS);
        let locks = match private_folder(&shared) {
            Ok(()) => shared,
            // A service manager can make /run read-only. Then no other worker should share this machine.
            Err(_) => workdir.join("users"),
        };
        private_folder(&locks)?;
        Ok(Some(Self { locks }))
    }

    /// Takes a user that is free. Kills processes that an earlier task of this user left.
    pub(super) fn take(&self) -> io::Result<TaskUser> {
        for id in IDS {
            if matches!(User::from_uid(Uid::from_raw(id)), Ok(Some(_))) {
                continue;
            }
            let lock = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(self.locks.join(id.to_string()))?;
            if lock.try_lock().is_ok() {
                let user = TaskUser { id, _lock: lock };
                if !user.kill_all() {
                    tracing::error!(id, "processes of an earlier task do not end");
                    continue;
                }
                return Ok(user);
            }
        }
        Err(io::Error::other("all users for tasks are in use"))
    }
}

impl TaskUser {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Kills every process of the user. Returns whether none is left.
    fn kill_all(&self) -> bool {
        for _ in 0..KILL_TRIES {
            let left = tree::of_user(self.id);
            if left.is_empty() {
                return true;
            }
            for process in left {
                process.kill();
            }
            thread::sleep(KILL_PAUSE);
        }
        false
    }
}

impl Drop for TaskUser {
    fn drop(&mut self) {
        if !self.kill_all() {
            tracing::error!(id = self.id, "processes of a task do not end");
        }
    }
}

/// Gives a file or a folder with all that is in it to a user. It follows no link. It leaves files that have another name
/// elsewhere, because the other name could be a file of the system.
pub(super) fn give_tree(path: &Path, id: u32) -> io::Result<()> {
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let is_folder = metadata.is_dir();
        if metadata.uid() != id && (is_folder || metadata.nlink() == 1) {
            lchown(&path, Some(id), Some(id))?;
        }
        if is_folder {
            for entry in fs::read_dir(&path)? {
                next.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_gives_users_and_each_once() {
        let workdir = tempfile::tempdir().unwrap();
        let Some(users) = Users::new(workdir.path()).unwrap() else {
            assert!(!Uid::effective().is_root());
            return;
        };
        let (one, two) = (users.take().unwrap(), users.take().unwrap());
        assert_ne!(one.id(), two.id());
        let folder = workdir.path().join("f");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("own"), "").unwrap();
        let outside = workdir.path().join("outside");
        fs::write(&outside, "").unwrap();
        fs::hard_link(&outside, folder.join("linked")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        give_tree(&folder, one.id()).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(owner(&folder), one.id());
        assert_eq!(owner(&folder.join("own")), one.id());
        assert_eq!(owner(&folder.join("link")), one.id());
        assert_eq!(owner(&outside), 0);
        assert_eq!(owner(Path::new("/etc/passwd")), 0);
    }
}
