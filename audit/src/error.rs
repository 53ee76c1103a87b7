//! Why an audit log cannot be opened, written or read.

use std::{io, path::PathBuf};

/// Why an audit log cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The folder does not exist.
    #[error(
        "the folder {} does not exist; create it for the user that this program runs as: install -d -m 0700 -o USER {}", .0.display(), .0.display()
    )]
    NoFolder(PathBuf),
    /// It is a file.
    #[error("{} is not a folder; name the audit log's folder", .0.display())]
    NotAFolder(PathBuf),
    /// Other users can change what is in the folder.
    #[error("other users can change the folder {} (mode {mode:04o}); run `chmod go-w {}`", .path.display(), .path.display())]
    FolderNotPrivate {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Other users can read or change a file of the log.
    #[error("other users can access {} (mode {mode:04o}); run `chmod 600 {}`, or 640 for a group that may read it", .path.display(), .path.display())]
    FileNotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Another user owns it.
    #[error("{} belongs to another user (uid {owner}); run as that user, or `chown` it", .path.display())]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A link, a pipe or a device.
    #[error("{} is not a regular file; links, pipes and devices are refused", .0.display())]
    NotAFile(PathBuf),
    /// Another process writes the log.
    #[error(
        "{holder} writes the audit log in {} already; stop it, or name another folder: each process has its own", .path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process.
        holder: String,
    },
    /// The end of the newest file is not an audit log, so nothing can be added.
    #[error(
        "{} does not end with lines of an audit log; run `codec-server audit verify` on it, keep the files in another folder, and start with an empty one", .0.display()
    )]
    Damaged(PathBuf),
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to read.
    #[error("{} has no audit log; name its folder, or its files", .0.display())]
    NoLog(PathBuf),
    /// The syslog service cannot be reached.
    #[error("cannot reach syslog at {address}: {source}; check that it runs")]
    Syslog {
        /// Its address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The thread that writes cannot start.
    #[error("the thread that writes the audit log does not start: {0}")]
    Thread(io::Error),
    /// A line could not be written.
    #[error(
        "the audit log cannot be written: {0}; nothing is done without a record of it. Correct this, and the server goes on by itself"
    )]
    Unwritten(String),
    /// A key was changed, and the line of it could not be written.
    #[error(
        "the key was changed, and the audit log does not have the line of it; do not repeat the change. Correct the log, and note the change elsewhere ({0})"
    )]
    Changed(Box<AuditError>),
    /// A line was not written in time.
    #[error("the audit log was not written in time; check the disk that it is on")]
    TooSlow,
    /// The log is closed already.
    #[error("the audit log is closed, because the process ends")]
    Closed,
}

impl AuditError {
    /// For `map_err`: `action` on `path` failed.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}
