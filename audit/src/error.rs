//! Why an audit log cannot be opened, written or read.

use std::{borrow::Cow, io, path::PathBuf};

use temporal_kms::support::shell_path;

/// Why an audit log cannot be opened, written or read. The text has two parts, which [`what_happened`](Self::what_happened)
/// and [`remedy`](Self::remedy) tell apart.
#[derive(Debug, thiserror::Error)]
#[error("{}; {}", self.what_happened(), self.remedy())]
#[non_exhaustive]
pub enum AuditError {
    /// The folder does not exist.
    NoFolder(PathBuf),
    /// It is a file.
    NotAFolder(PathBuf),
    /// Other users can change what is in the folder.
    FolderNotPrivate {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// All users share the folder, as they share `/tmp`.
    SharedFolder {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Other users can read or change a file of the log.
    FileNotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Another user owns it.
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A link, a pipe or a device.
    NotAFile(PathBuf),
    /// Another process writes the log.
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process.
        holder: String,
    },
    /// The end of the newest file is not an audit log, so nothing can be added.
    Damaged(PathBuf),
    /// Reading or writing failed.
    Io {
        /// What was done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to read.
    NoLog(PathBuf),
    /// The syslog service cannot be reached.
    Syslog {
        /// Its address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The thread that writes cannot start.
    Thread(io::Error),
    /// A line could not be written.
    Unwritten(String),
    /// A key was changed, and the line of it could not be written.
    Changed(Box<AuditError>),
    /// A line was not written in time.
    TooSlow,
    /// The log is closed already.
    Closed,
}

impl AuditError {
    /// What happened, and to which folder or file: the first part of the text.
    #[must_use]
    pub fn what_happened(&self) -> Cow<'static, str> {
        match self {
            Self::NoFolder(path) => format!("the folder {} does not exist", path.display()).into(),
            Self::NotAFolder(path) => format!("{} is not a folder", path.display()).into(),
            Self::FolderNotPrivate { path, mode } => format!(
                "other users can change the folder {} (mode {mode:04o})",
                path.display()
            )
            .into(),
            Self::SharedFolder { path, mode } => format!(
                "all users can change the folder {} (mode {mode:04o})",
                path.display()
            )
            .into(),
            Self::FileNotPrivate { path, mode } => format!(
                "other users can access {} (mode {mode:04o})",
                path.display()
            )
            .into(),
            Self::Owner { path, owner } => {
                format!("{} belongs to another user (uid {owner})", path.display()).into()
            }
            Self::NotAFile(path) => format!(
                "{} is not a regular file, and links, pipes and devices are refused",
                path.display()
            )
            .into(),
            Self::InUse { path, holder } => format!(
                "{holder} writes the audit log in {} already",
                path.display()
            )
            .into(),
            Self::Damaged(path) => {
                format!("{} does not end with lines of an audit log", path.display()).into()
            }
            Self::Io {
                action,
                path,
                source,
            } => format!("cannot {action} {}: {source}", path.display()).into(),
            Self::NoLog(path) => format!("{} has no audit log", path.display()).into(),
            Self::Syslog { address, source } => {
                format!("cannot reach syslog at {address}: {source}").into()
            }
            Self::Thread(error) => {
                format!("the thread that writes the audit log does not start: {error}").into()
            }
            Self::Unwritten(problem) => {
                format!("the audit log cannot be written: {problem}").into()
            }
            Self::Changed(_) => {
                "the key was changed, and the audit log does not have the line of it".into()
            }
            Self::TooSlow => "the audit log was not written in time".into(),
            Self::Closed => "the audit log is closed, because the process ends".into(),
        }
    }

    /// What to do: the second part of the text.
    #[must_use]
    pub fn remedy(&self) -> Cow<'static, str> {
        match self {
            Self::NoFolder(path) => format!(
                "create it for the user that this program runs as: install -d -m 0700 -o USER {}",
                shell_path(path)
            )
            .into(),
            Self::NotAFolder(_) => "name the audit log's folder".into(),
            Self::FolderNotPrivate { path, .. } => {
                format!("run `chmod go-w {}`", shell_path(path)).into()
            }
            Self::SharedFolder { path, .. } => format!(
                "name a folder of your own below it, such as {}",
                path.join("audit").display()
            )
            .into(),
            Self::FileNotPrivate { path, .. } => format!(
                "run `chmod 600 {}`, or 640 for a group that may read it",
                shell_path(path)
            )
            .into(),
            Self::Owner { .. } => "run as that user, or `chown` it".into(),
            Self::NotAFile(_) => "remove it, or name another place".into(),
            Self::InUse { .. } => {
                "stop it, or name another folder: each process has its own".into()
            }
            Self::Damaged(_) => {
                "run `codec-server audit verify` on it, keep the files in another folder, and start with an empty one".into()
            }
            Self::Io { source, .. } => remedy_of(source.kind()).into(),
            Self::NoLog(_) => "name its folder, or its files".into(),
            Self::Syslog { .. } => "check that it runs".into(),
            Self::Thread(_) => {
                "let this user have more processes (`ulimit -u`, TasksMax of systemd)".into()
            }
            Self::Unwritten(_) => {
                "nothing is done without a record of it. Correct this, and the server goes on by itself".into()
            }
            Self::Changed(error) => format!(
                "do not repeat the change. Correct the log, and note the change elsewhere ({error})"
            )
            .into(),
            Self::TooSlow => "check the disk that it is on".into(),
            Self::Closed => "try again when it has started again".into(),
        }
    }

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

/// What to do when reading or writing failed.
fn remedy_of(kind: io::ErrorKind) -> &'static str {
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
    fn a_suggested_command_can_be_pasted_into_a_shell() {
        let path = || PathBuf::from("/var/my audit");
        let mode = 0o777;
        for error in [
            AuditError::NoFolder(path()),
            AuditError::FolderNotPrivate { path: path(), mode },
            AuditError::FileNotPrivate { path: path(), mode },
        ] {
            let remedy = error.remedy();
            assert!(remedy.contains(" '/var/my audit'"), "{remedy}");
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
            let (happened, remedy) = (error.what_happened(), error.remedy());
            assert_eq!(text, format!("{happened}; {remedy}"));
            assert!(!happened.is_empty() && !remedy.is_empty(), "{text}");
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
