//! Keyset files. Other users cannot read or replace them, and a crash does not lose them.

mod access;

use std::{
    borrow::Cow,
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use tempfile::NamedTempFile;
use temporal_kms::support::shell_path;
use zeroize::Zeroizing;

/// Larger than a keyset of a thousand keys.
const MAX_LEN: u64 = 1 << 20;
/// The mode of a folder in which users can remove their own files only.
const STICKY: u32 = 0o1000;

/// Why a keyset file or its folder cannot be used. [`remedy`](FileError::remedy) says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("there is no keyring {}", .0.display())]
    NoFolder(PathBuf),
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("cannot {action} {}: {}", .path.display(), words(*.kind))]
    Io {
        action: &'static str,
        path: PathBuf,
        kind: io::ErrorKind,
    },
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    #[error("{} belongs to another user (uid {owner})", .path.display())]
    #[cfg_attr(not(unix), allow(dead_code, reason = "found on Unix only"))]
    Owner { path: PathBuf, owner: u32 },
    #[error("other users can access {} (mode {mode:04o})", .path.display())]
    #[cfg_attr(not(unix), allow(dead_code, reason = "found on Unix only"))]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("other users can change the keyring {} (mode {mode:04o})", .path.display())]
    #[cfg_attr(not(unix), allow(dead_code, reason = "found on Unix only"))]
    FolderNotPrivate { path: PathBuf, mode: u32 },
}

impl FileError {
    /// What to do. `create` is the command that creates the key.
    pub(super) fn remedy(&self, create: &str) -> Cow<'static, str> {
        match self {
            Self::NoFolder(_) => format!("create it with its key: {create}").into(),
            Self::NoFile(_) => format!("create it: {create}").into(),
            Self::Io { kind, .. } => remedy_of(*kind).into(),
            Self::NotAFolder(_) => "name the keyring's folder".into(),
            Self::NotAFile(_) => {
                "replace it by one, because links, pipes and devices are refused".into()
            }
            Self::TooLarge(_) => "name a keyset".into(),
            Self::Owner { .. } => "run as that user, or `chown` it".into(),
            Self::NotPrivate { path, .. } => format!("run `chmod 600 {}`", shell_path(path)).into(),
            Self::FolderNotPrivate { path, mode } if mode & STICKY == 0 => {
                format!("run `chmod go-w {}`", shell_path(path)).into()
            }
            // All users share it, as /tmp.
            Self::FolderNotPrivate { path, .. } => {
                let own = path.join("keys");
                let own = own.display();
                format!("name a folder of your own below it, such as {own}").into()
            }
        }
    }
}

/// Distinguishes contents of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

/// Reads a file that only its owner may access, from a folder that only its owner may change. Never blocks.
pub(super) fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Stamp), FileError> {
    check_folder(folder_of(path))?;
    let io = |error: io::Error| missing_or(path, "read", &error);
    let file = access::options().read(true).open(path).map_err(io)?;
    // Checks the open file, so that the same file is checked and read.
    let metadata = file.metadata().map_err(io)?;
    check_file(path, &metadata)?;
    // Allocate once: a vector that grows leaves copies of its content in memory.
    let capacity = usize::try_from(metadata.len()).map_err(|_| too_large(path))?;
    let mut content = Zeroizing::new(Vec::with_capacity(capacity + 1));
    file.take(MAX_LEN).read_to_end(&mut content).map_err(io)?;
    Ok((content, Stamp::of(&metadata)))
}

/// The current stamp of the file.
pub(super) fn stamp(path: &Path) -> Result<Stamp, FileError> {
    fs::symlink_metadata(path)
        .map(|metadata| Stamp::of(&metadata))
        .map_err(|error| missing_or(path, "read", &error))
}

/// The names of the files in a folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    check_folder(folder)?;
    let io = |error: io::Error| failed(folder, "read", &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string());
    }
    Ok(names)
}

/// Creates a file of mode 0600, completely or not at all. Returns `false` if the file exists already, and leaves it
/// unchanged. Once this returns, the file survives a power cut.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<bool, FileError> {
    create_folder(folder_of(path))?;
    match write_beside(path, content)?.persist_noclobber(path) {
        Ok(_) => sync(folder_of(path)).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(path, "create", &error.error)),
    }
}

/// Replaces a file, completely or not at all. After a power cut it is the old file or the new file. Once this returns,
/// it is the new file.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_beside(path, content)?
        .persist(path)
        .map_err(|error| failed(path, "replace", &error.error))?;
    sync(folder_of(path))
}

/// Waits until no other process changes `path`. Dropping the returned file releases the lock.
pub(super) fn lock(path: &Path) -> Result<File, FileError> {
    let path = path.with_extension("lock");
    let io = |error: io::Error| failed(&path, "lock", &error);
    check_folder(folder_of(&path))?;
    let mut options = access::options();
    let file = options.create(true).truncate(false).write(true);
    let file = file.open(&path).map_err(io)?;
    check_file(&path, &file.metadata().map_err(io)?)?;
    file.lock().map_err(io)?;
    Ok(file)
}

fn write_beside(path: &Path, content: &[u8]) -> Result<NamedTempFile, FileError> {
    let folder = folder_of(path);
    check_folder(folder)?;
    // A temporary name would not help a user, so errors name the final file.
    let io = |error: io::Error| failed(path, "write", &error);
    // `tempfile` creates files of mode 0600.
    let mut file = NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    Ok(file)
}

/// Creates the folder and its parents with mode 0700, and syncs each to the disk.
fn create_folder(folder: &Path) -> Result<(), FileError> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(FileError::NotAFolder(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(no_folder(folder, &error)),
    }
    create_folder(folder_of(folder))?;
    match access::private_folder().create(folder) {
        Ok(()) => sync(folder_of(folder)),
        // Another process created it at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(folder, "create", &error)),
    }
}

/// The folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn missing_or(path: &Path, action: &'static str, error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => match folder_of(path) {
            folder if folder.exists() => FileError::NoFile(path.to_owned()),
            folder => FileError::NoFolder(folder.to_owned()),
        },
        _ if access::is_link(error) => FileError::NotAFile(path.to_owned()),
        _ => failed(path, action, error),
    }
}

fn no_folder(folder: &Path, error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::NoFolder(folder.to_owned()),
        io::ErrorKind::NotADirectory => FileError::NotAFolder(folder.to_owned()),
        _ => failed(folder, "open", error),
    }
}

fn failed(path: &Path, action: &'static str, error: &io::Error) -> FileError {
    FileError::Io {
        action,
        path: path.to_owned(),
        kind: error.kind(),
    }
}

/// Syncs a folder, so that the names in it survive a power cut.
fn sync(folder: &Path) -> Result<(), FileError> {
    access::sync_folder(folder).map_err(|error| failed(folder, "write", &error))
}

fn too_large(path: &Path) -> FileError {
    FileError::TooLarge(path.to_owned())
}

/// What is wrong.
fn words(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        other => other.to_string(),
    }
}

/// What to do about it.
const fn remedy_of(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => "run as its owner",
        io::ErrorKind::StorageFull => "free some space",
        io::ErrorKind::ReadOnlyFilesystem => "use another folder",
        _ => "check the path, and the disk that it is on",
    }
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    if !metadata.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    if metadata.len() > MAX_LEN {
        return Err(too_large(path));
    }
    access::check_file(path, metadata)
}

/// Refuses a folder in which another user could put a keyset. Other users may read the folder, because the keysets in
/// it are private.
fn check_folder(folder: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(folder).map_err(|error| no_folder(folder, &error))?;
    if !metadata.is_dir() {
        return Err(FileError::NotAFolder(folder.to_owned()));
    }
    access::check_folder(folder, &metadata)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            inode,
        }
    }
}
