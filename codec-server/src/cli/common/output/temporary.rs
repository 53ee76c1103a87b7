//! A file without a name until it is complete, so that an interrupted process leaves nothing behind.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag},
    unistd::linkat,
};
use tempfile::NamedTempFile;

/// Readable by its owner only.
const MODE: u32 = 0o600;

/// A file in the folder of the output.
#[derive(Debug)]
pub(crate) enum Temporary {
    /// Linux removes it with the process, even after SIGKILL (`open(2)`, `O_TMPFILE`).
    Unnamed(File),
    /// For file systems without that: removed when it is dropped.
    Named(NamedTempFile),
}

impl Temporary {
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let folder = folder_of(path);
        match Self::unnamed(folder) {
            // The file system or the kernel does not support it.
            Err(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL)
                ) =>
            {
                Self::named(folder)
            }
            made => made,
        }
    }

    fn unnamed(folder: &Path) -> io::Result<Self> {
        let file = File::options()
            .write(true)
            .mode(MODE)
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(folder)?;
        Ok(Self::Unnamed(file))
    }

    fn named(folder: &Path) -> io::Result<Self> {
        NamedTempFile::new_in(folder)
            .map(Self::Named)
            // The error of `tempfile` names its temporary file, which means nothing to the user.
            .map_err(|error| error.kind().into())
    }

    pub(crate) fn file(&self) -> &File {
        match self {
            Self::Unnamed(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }

    /// Gives it the name `path`, once its content is on the disk.
    pub(crate) fn persist(self, path: &Path, replace: bool) -> io::Result<()> {
        self.file().sync_all()?;
        match self {
            Self::Unnamed(file) if replace => replace_by(&file, path),
            Self::Unnamed(file) => link(&file, path),
            Self::Named(file) => {
                let persisted = if replace {
                    file.persist(path)
                } else {
                    file.persist_noclobber(path)
                };
                persisted.map(drop).map_err(|error| error.error)
            }
        }?;
        File::open(folder_of(path))?.sync_all()
    }
}

/// A link cannot replace a file. So the file gets a temporary name first, and is then renamed in one step.
fn replace_by(file: &File, path: &Path) -> io::Result<()> {
    tempfile::Builder::new()
        .make_in(folder_of(path), |name| link(file, name))?
        .into_temp_path()
        .persist(path)
        .map_err(|error| error.error)
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let open = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    linkat(AT_FDCWD, &open, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW).map_err(Into::into)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn both_kinds_appear_only_when_they_are_complete() {
        for make in [Temporary::unnamed, Temporary::named] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("output");
            make(folder.path()).unwrap();
            assert!(names(folder.path()).is_empty(), "dropped");

            let temporary = make(folder.path()).unwrap();
            temporary.file().write_all(b"first").unwrap();
            temporary.persist(&path, false).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"first");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

            let temporary = make(folder.path()).unwrap();
            let error = temporary.persist(&path, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"first");

            let temporary = make(folder.path()).unwrap();
            temporary.file().write_all(b"second").unwrap();
            temporary.persist(&path, true).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"second");
            assert_eq!(names(folder.path()), ["output"]);
        }
    }

    #[test]
    fn an_unnamed_file_has_no_name_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = Temporary::beside(&folder.path().join("output")).unwrap();
        assert!(matches!(temporary, Temporary::Unnamed(_)));
        assert!(names(folder.path()).is_empty());
    }
}
