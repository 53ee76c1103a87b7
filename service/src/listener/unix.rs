//! Unix sockets: their file, its mode and owner, and sockets that an earlier process left behind.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, Uid, User, chown};
use tokio::net::{UnixListener, UnixStream};

/// The owner and members of its group may connect.
const DEFAULT_MODE: u32 = 0o660;

/// A Unix socket, and who may connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixSocket {
    /// The absolute path of its file.
    pub path: PathBuf,
    /// The mode of its file. Connecting takes the permission to write.
    pub mode: u32,
    /// The owner of its file. By default it is the user of the process.
    pub owner: Option<Uid>,
    /// The group of its file. By default it is the group of the process.
    pub group: Option<Gid>,
}

impl UnixSocket {
    /// A socket with mode `0660`, which belongs to the process.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self {
            path,
            mode: DEFAULT_MODE,
            owner: None,
            group: None,
        }
    }
}

/// The file of a socket that is listened on. It is removed on drop, unless another process has replaced it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file could not be removed");
        }
    }
}

/// Listens on a socket. The file appears under its name only when it has its mode and owner.
pub(super) async fn bind(socket: &UnixSocket) -> io::Result<(UnixListener, SocketFile)> {
    refuse_used(&socket.path).await?;
    let hidden = hidden_name(&socket.path)?;
    // A process with the same id may have died here.
    let _ = fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden)?;
    let moved = secure(&hidden, socket).and_then(|()| {
        let identity = identity(&hidden)?;
        // It replaces the socket of a process that has ended.
        fs::rename(&hidden, &socket.path)?;
        Ok(identity)
    });
    match moved {
        Ok(identity) => {
            let path = socket.path.clone();
            Ok((listener, SocketFile { path, identity }))
        }
        Err(error) => {
            let _ = fs::remove_file(&hidden);
            Err(error)
        }
    }
}

/// Refuses a path that a server listens on, and one that is not a socket.
async fn refuse_used(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path exists and is not a socket",
        )),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens on it",
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name beside `path`, so that the file can be renamed to it.
fn hidden_name(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn secure(path: &Path, socket: &UnixSocket) -> io::Result<()> {
    if socket.owner.is_some() || socket.group.is_some() {
        chown(path, socket.owner, socket.group)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(socket.mode))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Parses a file mode such as `0660`. Only the bits for the owner, the group and others may be set.
///
/// # Errors
/// A text for the user, when it is anything else.
pub fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8);
    mode.ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| format!("`{text}` is not a file mode in octal, such as \"0660\""))
}

/// The user with this name or number.
///
/// # Errors
/// A text for the user, when there is no such user.
pub fn user(text: &str) -> Result<Uid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Uid::from_raw(number));
    }
    let found = User::from_name(text).map_err(|error| error.to_string())?;
    found.map(|user| user.uid).ok_or_else(|| {
        format!("there is no user `{text}` on this machine; create it, or name another")
    })
}

/// The group with this name or number.
///
/// # Errors
/// A text for the user, when there is no such group.
pub fn group(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(text).map_err(|error| error.to_string())?;
    found.map(|group| group.gid).ok_or_else(|| {
        format!("there is no group `{text}` on this machine; create it, or name another")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (tempfile::TempDir, UnixSocket) {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixSocket::at(folder.path().join("http.sock"));
        (folder, socket)
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_listener() {
        let (folder, mut socket) = socket();
        socket.mode = 0o600;
        let (listener, file) = bind(&socket).await.unwrap();
        let found = fs::metadata(&socket.path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&socket.path).await.unwrap();
        drop((listener, file));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_socket_that_a_dead_process_left_behind_is_replaced() {
        let (_folder, socket) = socket();
        let (listener, file) = bind(&socket).await.unwrap();
        drop(listener);
        std::mem::forget(file);
        assert!(socket.path.exists());
        let (_listener, _file) = bind(&socket).await.unwrap();
        UnixStream::connect(&socket.path).await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_in_use_and_other_files_are_left_alone() {
        let (_folder, socket) = socket();
        let (_listener, _file) = bind(&socket).await.unwrap();
        let error = bind(&socket).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&socket.path).await.unwrap();

        let other = UnixSocket::at(socket.path.with_file_name("file"));
        fs::write(&other.path, "text").unwrap();
        let error = bind(&other).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&other.path).unwrap(), b"text");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_is_not_removed() {
        let (_folder, socket) = socket();
        let (listener, file) = bind(&socket).await.unwrap();
        drop(listener);
        let (_successor, _its_file) = bind(&socket).await.unwrap();
        drop(file);
        UnixStream::connect(&socket.path).await.unwrap();
    }

    #[test]
    fn modes_users_and_groups_are_looked_up() {
        assert_eq!(mode("0660"), Ok(0o660));
        for wrong in ["", "4755", "888", "rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
        assert_eq!(user("0"), Ok(Uid::from_raw(0)));
        assert!(user("no-such-user-here").unwrap_err().contains("create it"));
        assert_eq!(group("root"), Ok(Gid::from_raw(0)));
    }
}
