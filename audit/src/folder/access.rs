//! Who may access the files: what Unix tells, and nothing on other systems.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::Path,
};

use crate::error::AuditError;

/// Opens no link and waits for nothing. What is created has these permissions at most.
pub(super) fn options(mode: u32) -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use nix::fcntl::OFlag;
        // A link could lead out of the folder, and opening a pipe would wait for its other end.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        options.mode(mode).custom_flags(flags.bits());
    }
    #[cfg(not(unix))]
    let _ = mode;
    options
}

/// The error of a file that was not opened. A link is named as such.
pub(super) fn not_opened(path: &Path, error: io::Error) -> AuditError {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) {
        return AuditError::NotAFile(path.to_owned());
    }
    AuditError::io("open", path)(error)
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Refuses a folder that another user may change or owns.
pub(super) fn check_folder(path: &Path) -> Result<(), AuditError> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AuditError::NoFolder(path.to_owned()),
        io::ErrorKind::NotADirectory => AuditError::NotAFolder(path.to_owned()),
        _ => AuditError::io("open", path)(error),
    })?;
    if !metadata.is_dir() {
        return Err(AuditError::NotAFolder(path.to_owned()));
    }
    #[cfg(unix)]
    {
        let mode = unix::owned(path, &metadata)?;
        if mode & 0o022 != 0 {
            let path = path.to_owned();
            // The mode of a folder in which users can remove their own files only. Its mode must stay as it is.
            return Err(if mode & 0o1000 == 0 {
                AuditError::FolderNotPrivate { path, mode }
            } else {
                AuditError::SharedFolder { path, mode }
            });
        }
    }
    Ok(())
}

/// Refuses a file that this process cannot change, and a folder in which it cannot create files. A file system that is
/// mounted read-only counts.
pub(super) fn check_writable(path: &Path) -> Result<(), AuditError> {
    #[cfg(unix)]
    unix::may_write(path).map_err(AuditError::io("write", path))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Refuses a file that is not a regular file, that another user owns, or that anyone except a reading group may access.
pub(super) fn check_file(path: &Path, metadata: &Metadata) -> Result<(), AuditError> {
    if !metadata.is_file() {
        return Err(AuditError::NotAFile(path.to_owned()));
    }
    #[cfg(unix)]
    {
        let mode = unix::owned(path, metadata)?;
        if mode & 0o137 != 0 {
            return Err(AuditError::FileNotPrivate {
                path: path.to_owned(),
                mode,
            });
        }
    }
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::{fs::Metadata, io, os::unix::fs::MetadataExt as _, path::Path};

    use nix::{
        fcntl::{AT_FDCWD, AtFlags},
        unistd::{AccessFlags, faccessat},
    };

    use crate::error::AuditError;

    pub(super) fn may_write(path: &Path) -> io::Result<()> {
        let wanted = if path.is_dir() {
            AccessFlags::W_OK | AccessFlags::X_OK
        } else {
            AccessFlags::W_OK
        };
        Ok(faccessat(AT_FDCWD, path, wanted, AtFlags::AT_EACCESS)?)
    }

    /// The permissions of a file or folder of this user. Root may change every file anyway.
    pub(super) fn owned(path: &Path, metadata: &Metadata) -> Result<u32, AuditError> {
        let (owner, us) = (metadata.uid(), nix::unistd::geteuid().as_raw());
        if owner != us && owner != 0 {
            return Err(AuditError::Owner {
                path: path.to_owned(),
                owner,
            });
        }
        Ok(metadata.mode() & 0o7777)
    }
}
