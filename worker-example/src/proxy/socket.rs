//! The folders of the proxies' Unix sockets. The path of a socket has at most 107 bytes (unix(7)), so they are not in the
//! tasks' folders, whose names are longer.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener as StdListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, chown};
use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::sandbox::private_folder;

const FOLDER: &str = "run";
const SOCKET: &str = "api";
/// The longest path of a socket, in bytes.
const MAX_PATH: usize = 107;

/// A folder with one socket. Dropping it removes both.
#[derive(Debug)]
pub(super) struct SocketFolder {
    folder: TempDir,
}

impl SocketFolder {
    /// Creates a folder below `workdir/run`. Only the worker's user may enter it, or the user with this id.
    ///
    /// # Errors
    /// When the folder cannot be created, or the path is too long for a socket.
    pub(super) fn create(workdir: &Path, owner: Option<u32>) -> io::Result<Self> {
        let parent = workdir.join(FOLDER);
        private_folder(&parent)?;
        if owner.is_some() {
            fs::set_permissions(&parent, Permissions::from_mode(0o711))?;
        }
        let folder = tempfile::Builder::new()
            .prefix("")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let made = Self { folder };
        if made.socket().as_os_str().len() > MAX_PATH {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} is too long for a Unix socket; choose a shorter --workdir",
                    made.socket().display()
                ),
            ));
        }
        give(made.folder.path(), owner)?;
        Ok(made)
    }

    /// The socket's path.
    #[must_use]
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// Listens.
    pub(super) fn listen(&self, owner: Option<u32>) -> io::Result<UnixListener> {
        let path = self.socket();
        let listener = StdListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        give(&path, owner)?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    }
}

fn give(path: &Path, owner: Option<u32>) -> io::Result<()> {
    let Some(id) = owner else {
        return Ok(());
    };
    Ok(chown(
        path,
        Some(Uid::from_raw(id)),
        Some(Gid::from_raw(id)),
    )?)
}

/// Checks that sockets can be created below `workdir`.
///
/// # Errors
/// When they cannot, for example because the path is too long.
pub(crate) fn check(workdir: &Path) -> io::Result<()> {
    let folder = SocketFolder::create(workdir, None)?;
    StdListener::bind(folder.socket()).map(drop)
}

/// Removes the folders of proxies that do not listen any more, because their worker was killed.
///
/// # Errors
/// When the folder of sockets cannot be read.
pub(crate) fn sweep(workdir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(workdir.join(FOLDER)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        // A folder without a socket is about to get one, or is removed by the next sweep of a quiet worker.
        let is_left = matches!(UnixStream::connect(path.join(SOCKET)),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused);
        if is_left && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove the folder of a lost proxy");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_private_and_swept_only_when_nobody_listens() {
        let workdir = tempfile::tempdir().unwrap();
        sweep(workdir.path()).unwrap();
        let held = SocketFolder::create(workdir.path(), None).unwrap();
        let listener = held.listen(None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&held.socket()), 0o600);
        assert_eq!(mode(held.socket().parent().unwrap()), 0o700);
        sweep(workdir.path()).unwrap();
        assert!(held.socket().exists());

        drop(listener);
        let left = held.folder.keep();
        sweep(workdir.path()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have() {
        let workdir = tempfile::tempdir().unwrap();
        let long = workdir.path().join("x".repeat(100));
        let error = SocketFolder::create(&long, None).unwrap_err();
        assert!(error.to_string().contains("shorter --workdir"), "{error}");
    }
}
