//! Files that only their owner may read.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    path::Path,
    time::SystemTime,
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// A keyset of a thousand keys is smaller.
const MAX_LEN: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    NotAFile,
    #[error("it is larger than 1 MiB")]
    TooLarge,
    #[error("others than its owner may access it (mode {0:04o}); run `chmod 600` on it")]
    #[cfg_attr(not(unix), allow(dead_code))]
    NotPrivate(u32),
}

/// Tells one content of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

/// Reads a file that nobody but its owner may access.
pub(super) fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Stamp), FileError> {
    let file = File::open(path)?;
    // Asked of the open file, so that it is the one that is read.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.len() > MAX_LEN {
        return Err(FileError::TooLarge);
    }
    check_private(&metadata)?;
    // Sized beforehand: a vector that grows leaves copies of its content behind.
    let capacity = usize::try_from(metadata.len()).map_err(|_| FileError::TooLarge)?;
    let mut content = Zeroizing::new(Vec::with_capacity(capacity + 1));
    file.take(MAX_LEN).read_to_end(&mut content)?;
    Ok((content, Stamp::of(&metadata)))
}

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    fs::metadata(path).map(|metadata| Stamp::of(&metadata))
}

/// Makes a file of mode 0600, whole or not at all; `false` when there is one already, which is left alone.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<bool, FileError> {
    match write_beside(path, content)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error.into()),
    }
}

/// Replaces a file, whole or not at all.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_beside(path, content)?
        .persist(path)
        .map_err(|error| error.error)?;
    Ok(())
}

/// Waits until no other process changes `path`; the lock ends when the returned file is dropped.
pub(super) fn lock(path: &Path) -> Result<File, FileError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

fn write_beside(path: &Path, content: &[u8]) -> Result<NamedTempFile, FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_private_folder(folder)?;
    // `tempfile` makes files of mode 0600.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn check_private(metadata: &Metadata) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o7777;
    // The six lowest bits are the group's and the others' permissions.
    if mode.trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(FileError::NotPrivate(mode))
    }
}

#[cfg(not(unix))]
fn check_private(_: &Metadata) -> Result<(), FileError> {
    Ok(())
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
