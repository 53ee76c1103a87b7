//! Files below a folder, reached without following any link.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const PRIVATE_FOLDER: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// What a name in a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Folder,
    /// A regular file.
    File,
    /// A link, a device, a socket or a pipe.
    Other,
}

impl Folder {
    /// Opens the workspace. Its own path is the service's, so links in it are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, FOLDER, Mode::empty())?))
    }

    /// Opens a folder in this one.
    pub(super) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, FOLDER, Mode::empty())?))
    }

    /// Opens a folder in this one, and creates it if it is missing.
    pub(super) fn enter_or_create(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.0, name, PRIVATE_FOLDER) {
            Ok(()) | Err(Errno::EXIST) => self.enter(OsStr::new(name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a file that only its owner may read. A file or a link of this name is replaced, not written through.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let file = openat(&self.0, name, flags, PRIVATE_FILE)?;
        File::from(file).write_all(content)
    }

    /// Opens a regular file that has no other name. Opening a device or a pipe could block or have an effect, so the file is
    /// looked at first, and again when it is open.
    pub(super) fn file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY
            .union(OFlags::NOFOLLOW)
            .union(OFlags::NONBLOCK)
            .union(OFlags::CLOEXEC);
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        let found = fstat(&file)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_nlink != 1 {
            return Err(io::Error::other("it is not a file with one name"));
        }
        Ok(file)
    }

    /// The names in this folder and what they are.
    pub(super) fn entries(&self) -> io::Result<Vec<(std::ffi::OsString, Kind)>> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(name)?,
                kind => Kind::of(kind),
            };
            entries.push((name.to_owned(), kind));
        }
        entries.sort_unstable();
        Ok(entries)
    }

    /// What a name is.
    pub(super) fn kind(&self, name: &OsStr) -> io::Result<Kind> {
        let found = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Kind::of(FileType::from_raw_mode(found.st_mode)))
    }
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Folder,
            FileType::RegularFile => Self::File,
            _ => Self::Other,
        }
    }
}
