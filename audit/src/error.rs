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
    /// All users share the folder, as they share `/tmp`.
    #[error("all users can change the folder {} (mode {mode:04o}); name a folder of your own below it, such as {}", .path.display(), .path.join("audit").display())]
    SharedFolder {
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
    #[error(
        "{} is not a regular file, and links, pipes and devices are refused; remove it, or name another place", .0.display()
    )]
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
    #[error("cannot {action} {}: {source}; {}", .path.display(), remedy(.source.kind()))]
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
    #[error(
        "the thread that writes the audit log does not start: {0}; let this user have more processes (`ulimit -u`, TasksMax of systemd)"
    )]
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
    #[error(
        "the audit log is closed, because the process ends; try again when it has started again"
    )]
    Closed,
}

/// What to do when reading or writing failed.
fn remedy(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match kind {
        Kind::PermissionDenied => "give the user that this program runs as access to it",
        Kind::NotFound => "check its name",
        Kind::StorageFull | Kind::QuotaExceeded => "free space on its disk",
        Kind::ReadOnlyFilesystem => "mount its disk so that it can be written",
        Kind::BrokenPipe => "check that its reader runs",
        _ => "check the disk that it is on",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the text of an error must name: the subject, and what to do. A new variant does not compile until it is here.
    fn names(error: &AuditError) -> &'static [&'static str] {
        use AuditError as E;
        match error {
            E::NoFolder(_) => &["/var/audit", "create it", "install -d"],
            E::NotAFolder(_) => &["/var/audit", "name the audit log's folder"],
            E::FolderNotPrivate { .. } => &["/var/audit", "mode 0777", "chmod go-w"],
            E::SharedFolder { .. } => &["/var/audit", "mode 1777", "such as /var/audit/audit"],
            E::FileNotPrivate { .. } => &["/var/audit", "mode 0666", "chmod 600"],
            E::Owner { .. } => &["/var/audit", "uid 7", "run as that user"],
            E::NotAFile(_) => &["/var/audit", "remove it"],
            E::InUse { .. } => &["/var/audit", "process 7", "stop it"],
            E::Damaged(_) => &["/var/audit", "run `codec-server audit verify`"],
            E::Io { .. } => &["cannot write /var/audit", "free space"],
            E::NoLog(_) => &["/var/audit", "name its folder"],
            E::Syslog { .. } => &["/dev/log", "check that it runs"],
            E::Thread(_) => &["thread", "more processes"],
            E::Unwritten(_) => &["audit log", "disk full", "Correct this"],
            E::Changed(_) => &["audit log", "do not repeat the change", "note the change"],
            E::TooSlow => &["audit log", "check the disk"],
            E::Closed => &["audit log", "try again"],
        }
    }

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        use AuditError as E;
        let path = || PathBuf::from("/var/audit");
        let all = [
            E::NoFolder(path()),
            E::NotAFolder(path()),
            E::FolderNotPrivate {
                path: path(),
                mode: 0o777,
            },
            E::SharedFolder {
                path: path(),
                mode: 0o1777,
            },
            E::FileNotPrivate {
                path: path(),
                mode: 0o666,
            },
            E::Owner {
                path: path(),
                owner: 7,
            },
            E::NotAFile(path()),
            E::InUse {
                path: path(),
                holder: "process 7".to_owned(),
            },
            E::Damaged(path()),
            E::io("write", path())(io::ErrorKind::StorageFull.into()),
            E::NoLog(path()),
            E::Syslog {
                address: "/dev/log".to_owned(),
                source: io::ErrorKind::NotFound.into(),
            },
            E::Thread(io::ErrorKind::WouldBlock.into()),
            E::Unwritten("disk full".to_owned()),
            E::Changed(Box::new(E::TooSlow)),
            E::TooSlow,
            E::Closed,
        ];
        for error in all {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }

    #[test]
    fn each_failure_of_the_disk_has_its_own_remedy() {
        use io::ErrorKind as Kind;
        for (kind, expected) in [
            (Kind::PermissionDenied, "give the user"),
            (Kind::NotFound, "check its name"),
            (Kind::QuotaExceeded, "free space"),
            (Kind::ReadOnlyFilesystem, "mount its disk"),
            (Kind::BrokenPipe, "check that its reader runs"),
            (Kind::InvalidData, "check the disk"),
        ] {
            let text = AuditError::io("open", "/var/audit")(kind.into()).to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
