//! The folders of the proxies' Unix sockets. The path of a socket has at most 107 bytes (unix(7)), so they are not in the
//! tasks' folders, whose names are longer.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt as _, net::UnixListener as StdListener},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::FutureExt as _;
use nix::unistd::{Gid, Uid, chown};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use crate::sandbox::{is_older, private_folder};

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

/// Removes the folders of proxies that do not listen any more, because their worker was killed. Folders that have changed within
/// `age` stay: between the creation of a folder and the first connection, another proxy of this machine seems to be lost, too.
/// It must be called in a runtime.
///
/// # Errors
/// When the folder of sockets cannot be read.
pub(crate) fn sweep(workdir: &Path, age: Duration) -> io::Result<()> {
    let entries = match fs::read_dir(workdir.join(FOLDER)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let is_left = is_older(&path, age) && is_refused(&path.join(SOCKET));
        if is_left && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove the folder of a lost proxy");
        }
    }
    Ok(())
}

/// Whether nobody listens at a socket. It does not wait: the task can replace the socket by one that never accepts, and the
/// kernel then says that the connection would block.
fn is_refused(socket: &Path) -> bool {
    let connected = UnixStream::connect(socket).now_or_never();
    matches!(connected, Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_private_and_swept_only_when_nobody_listens() {
        let workdir = tempfile::tempdir().unwrap();
        sweep(workdir.path(), Duration::ZERO).unwrap();
        let held = SocketFolder::create(workdir.path(), None).unwrap();
        let listener = held.listen(None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&held.socket()), 0o600);
        assert_eq!(mode(held.socket().parent().unwrap()), 0o700);
        sweep(workdir.path(), Duration::ZERO).unwrap();
        assert!(held.socket().exists());

        drop(listener);
        let left = held.folder.keep();
        sweep(workdir.path(), Duration::from_hours(1)).unwrap();
        assert!(left.exists());
        sweep(workdir.path(), Duration::ZERO).unwrap();
        assert!(!left.exists());
    }

    /// The queue of the socket is full, so a connection that waits would wait for ever.
    #[tokio::test]
    async fn a_socket_that_accepts_nothing_stops_no_sweep() {
        let workdir = tempfile::tempdir().unwrap();
        let held = SocketFolder::create(workdir.path(), None).unwrap();
        let _listener = StdListener::bind(held.socket()).unwrap();
        let mut waiting = Vec::new();
        while let Ok(connection) = UnixStream::connect(held.socket()).await {
            waiting.push(connection);
        }
        sweep(workdir.path(), Duration::ZERO).unwrap();
        assert!(held.socket().exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have() {
        let workdir = tempfile::tempdir().unwrap();
        let long = workdir.path().join("x".repeat(100));
        let error = SocketFolder::create(&long, None).unwrap_err();
        assert!(error.to_string().contains("shorter --workdir"), "{error}");
    }
}
