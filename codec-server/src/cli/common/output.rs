//! Where a command writes: stdout, a file that appears only when it is complete, or a device that is there already.

mod temporary;

use std::{
    fs::{File, FileType, Metadata},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use self::temporary::Temporary;
use super::exit::{Failure, Status};

/// Where the output goes. Nothing is opened yet.
#[derive(Debug)]
pub(crate) enum Destination {
    Stdout,
    /// A file that is created. With `force`, it replaces an existing file.
    File {
        path: PathBuf,
        force: bool,
    },
    /// A device or a pipe. It is written to and never replaced.
    Special(PathBuf),
}

/// An open destination.
pub(crate) enum Output {
    Stdout,
    File {
        temporary: Temporary,
        path: PathBuf,
        force: bool,
    },
    Special(File, PathBuf),
}

impl Destination {
    /// The destination at `path`; `-` is stdout. An existing file is kept unless `force` is given, and `input` is never
    /// overwritten. Links are followed only to devices and pipes, such as `/dev/fd/3`.
    pub(crate) fn new(path: &Path, force: bool, input: Option<&Path>) -> Result<Self, Failure> {
        if is_standard(path) || path == Path::new("/dev/stdout") {
            return Ok(Self::Stdout);
        }
        // A link that points to nothing exists as well.
        let existing = match path.symlink_metadata() {
            Ok(existing) => existing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::File {
                    path: path.to_owned(),
                    force,
                });
            }
            Err(error) => return Err(cannot_create(path, &error)),
        };
        let refused = |what| Err(refused(path, what));
        if path.metadata().is_ok_and(|it| is_special(it.file_type())) {
            return if force {
                Ok(Self::Special(path.to_owned()))
            } else {
                refused("it exists and is a device or a pipe; --force writes to it")
            };
        }
        if !force {
            return Err(exists(path));
        }
        let kind = existing.file_type();
        if kind.is_symlink() {
            return refused("it is a symbolic link; name the file that it points to");
        }
        if kind.is_dir() {
            return refused("it is a folder; name a file");
        }
        if input.is_some_and(|input| is_same(&existing, input)) {
            return refused("it is the input; name another file");
        }
        Ok(Self::File {
            path: path.to_owned(),
            force,
        })
    }

    /// What happens to the output when the command ends early.
    pub(crate) fn consequence(&self) -> &'static str {
        match self {
            Self::File { .. } => "no output was written",
            Self::Stdout | Self::Special(_) => "the output is incomplete; do not use it",
        }
    }

    /// Opens it. For a pipe, it waits until there is a reader.
    pub(crate) async fn open(self) -> Result<Output, Failure> {
        off_the_runtime(move || self.open_now()).await
    }

    fn open_now(self) -> Result<Output, Failure> {
        match self {
            Self::Stdout => Ok(Output::Stdout),
            Self::File { path, force } => {
                let temporary =
                    Temporary::beside(&path).map_err(|error| cannot_create(&path, &error))?;
                Ok(Output::File {
                    temporary,
                    path,
                    force,
                })
            }
            Self::Special(path) => {
                let failed = |error| cannot_create(&path, &error);
                let file = File::options().write(true).open(&path).map_err(failed)?;
                // It may have been replaced meanwhile.
                if !is_special(file.metadata().map_err(failed)?.file_type()) {
                    return Err(exists(&path));
                }
                Ok(Output::Special(file, path))
            }
        }
    }
}

impl Output {
    /// A handle to write through; `None` is stdout.
    pub(crate) fn file(&self) -> Result<Option<File>, Failure> {
        let file = match self {
            Self::Stdout => return Ok(None),
            Self::File { temporary, .. } => temporary.file(),
            Self::Special(file, _) => file,
        };
        file.try_clone()
            .map(Some)
            .map_err(|error| Failure::io("the output", &error))
    }

    /// Writes `bytes`. A new file appears only in [`finish`](Self::finish), which an interrupted command does not call.
    pub(crate) async fn write(&self, bytes: Zeroizing<Vec<u8>>) -> Result<(), Failure> {
        let Some(mut file) = self.file()? else {
            return off_the_runtime(move || {
                let mut stdout = io::stdout().lock();
                stdout
                    .write_all(&bytes)
                    .and_then(|()| stdout.flush())
                    .map_err(|error| Failure::stdout(&error))
            })
            .await;
        };
        let path = self.path().to_owned();
        off_the_runtime(move || file.write_all(&bytes).map_err(|error| at(&path, &error))).await
    }

    fn path(&self) -> &Path {
        match self {
            Self::Stdout => Path::new("-"),
            Self::File { path, .. } | Self::Special(_, path) => path,
        }
    }

    /// Gives a complete new file its name.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Self::File {
            temporary,
            path,
            force,
        } = self
        else {
            return Ok(());
        };
        temporary
            .persist(&path, force)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(&path),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => at(&path, &error),
                _ => cannot_create(&path, &error),
            })
    }
}

/// Runs a blocking `call` so that signals are still noticed.
async fn off_the_runtime<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(call)
        .await
        .unwrap_or_else(|error| Err(error.into()))
}

pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reading or writing `path` failed.
pub(crate) fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::io(&path.display().to_string(), error)
}

fn is_special(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_block_device() || kind.is_fifo()
}

fn is_same(existing: &Metadata, input: &Path) -> bool {
    input.metadata().is_ok_and(|input| {
        existing.is_file() && (input.dev(), input.ino()) == (existing.dev(), existing.ino())
    })
}

fn exists(path: &Path) -> Failure {
    refused(path, "it exists; --force replaces it")
}

fn cannot_create(path: &Path, error: &io::Error) -> Failure {
    refused(path, &format!("it cannot be created: {error}"))
}

fn refused(path: &Path, what: &str) -> Failure {
    Failure::new(
        Status::CannotCreate,
        format_args!("{}: {what}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_is_interrupted_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let destination = Destination::new(&path, false, None).unwrap();
            let output = destination.open().await.unwrap();
            tokio::select! {
                biased;
                // The first poll begins it.
                _ = output.write(Zeroizing::new(vec![0; 1 << 20])) => {}
                () = std::future::ready(()) => {}
            }
        });
        // The thread that writes has ended now.
        drop(runtime);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
