//! Reads a `.env` file whole, within limits.

use std::{
    fs::{self, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use crate::exit::{Failure, Status};

/// Larger than any file of settings.
const MAX_FILE: u64 = 1024 * 1024;

/// A file of lines `NAME=value`, as it was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct EnvFile {
    /// Where it is. A link was followed.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
    /// Of the file that was read.
    pub metadata: Metadata,
}

impl EnvFile {
    /// Reads the file. `None` when it does not exist.
    ///
    /// # Errors
    /// It cannot be read, is not a regular file of at most 1 MiB, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error: io::Error| Failure::io(&path.display().to_string(), &error);
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // A pipe without a writer would block for ever.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(Failure::new(
                Status::Data,
                format_args!(
                    "cannot use {}: it is not a regular file of at most 1 MiB",
                    path.display()
                ),
            ));
        }
        let mut text = String::new();
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Ok(Some(Self {
            path,
            text,
            metadata,
        }))
    }
}
