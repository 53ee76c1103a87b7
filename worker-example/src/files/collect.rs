//! The files of the workspace that a task uploads.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    beneath::{Folder, Kind},
    patterns::Patterns,
};
use crate::task::{StepError, TaskId};

/// The most folders and files that are looked at.
const MAX_ENTRIES: usize = 500_000;
/// The deepest folder.
const MAX_DEPTH: usize = 64;
/// The most warnings about files that are left out.
const MAX_WARNINGS: usize = 20;

/// How much a task may upload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadLimits {
    /// The most files.
    pub(crate) files: usize,
    /// The most bytes of one file. It is in memory as a whole.
    pub(crate) file_bytes: u64,
    /// The most bytes of all files.
    pub(crate) bytes: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            files: 1000,
            file_bytes: 64 << 20,
            bytes: 2 << 30,
        }
    }
}

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    workspace: PathBuf,
    folders: Vec<OsString>,
    name: OsString,
    /// Its path in the workspace.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// The files to upload, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The files, in the order of their paths.
    pub(crate) uploads: Vec<Upload>,
    /// What was left out, and why.
    pub(crate) warnings: Vec<String>,
}

impl Upload {
    /// Opens the file. No link is followed.
    ///
    /// # Errors
    /// When it is gone, or is not a regular file with one name any more.
    pub(crate) fn open(&self) -> io::Result<File> {
        let mut folder = Folder::open(&self.workspace)?;
        for name in &self.folders {
            folder = folder.enter(name)?;
        }
        folder.file(&self.name)
    }
}

/// The place of an upload in the object store.
pub(crate) fn object_path(task: &TaskId, prefix: Option<&str>, path: &str) -> String {
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    if prefix.is_empty() {
        format!("sessions/{task}/uploads/{path}")
    } else {
        format!("sessions/{task}/uploads/{prefix}/{path}")
    }
}

/// Finds the files of the workspace that match. Links, devices, files with several names, names that are not plain text, and
/// `left_out` (the files that the service wrote, which hold secrets) are not among them. It looks into no `.git`.
///
/// # Errors
/// When a pattern is wrong, a limit is exceeded, or a folder cannot be read.
pub(crate) fn collect(
    workspace: &Path,
    patterns: &[String],
    left_out: &[String],
    limits: UploadLimits,
) -> Result<Collected, StepError> {
    let search = Search {
        workspace,
        patterns: Patterns::new(patterns)?,
        left_out,
        limits,
    };
    let mut found = Collected::default();
    let mut state = State::default();
    let root = Folder::open(workspace)
        .map_err(|e| StepError::transient(format!("cannot open the workspace: {e}")))?;
    search.visit(&root, &mut state, &mut found)?;
    found.uploads.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

struct Search<'a> {
    workspace: &'a Path,
    patterns: Patterns,
    left_out: &'a [String],
    limits: UploadLimits,
}

#[derive(Default)]
struct State {
    folders: Vec<OsString>,
    entries: usize,
    bytes: u64,
}

impl Search<'_> {
    fn visit(
        &self,
        folder: &Folder,
        state: &mut State,
        found: &mut Collected,
    ) -> Result<(), StepError> {
        let here = || join(&state.folders, None);
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => {
                found.warn(|| format!("{} cannot be read: {error}", here()));
                return Ok(());
            }
        };
        state.entries += entries.len();
        if state.entries > MAX_ENTRIES {
            return Err(StepError::final_one(format!(
                "the workspace has more than {MAX_ENTRIES} files; nothing is uploaded"
            )));
        }
        for (name, kind) in entries {
            let Some(text) = name
                .to_str()
                .filter(|name| !name.chars().any(char::is_control))
            else {
                found.warn(|| {
                    let place = join(&state.folders, None);
                    format!("a file in {place:?} is not uploaded: its name is not plain text")
                });
                continue;
            };
            if text == ".git" || !self.patterns.sees(text) {
                continue;
            }
            if kind == Kind::Folder {
                if state.folders.len() < MAX_DEPTH {
                    match folder.enter(&name) {
                        Ok(inner) => {
                            state.folders.push(name);
                            self.visit(&inner, state, found)?;
                            state.folders.pop();
                        }
                        Err(error) => found.warn(|| format!("{text} cannot be read: {error}")),
                    }
                }
                continue;
            }
            let path = join(&state.folders, Some(text));
            if self.patterns.matches(&path) && !self.left_out.contains(&path) {
                self.take(folder, name, path, state, found)?;
            }
        }
        Ok(())
    }

    fn take(
        &self,
        folder: &Folder,
        name: OsString,
        path: String,
        state: &mut State,
        found: &mut Collected,
    ) -> Result<(), StepError> {
        // A pipe or a device is not even opened.
        let file = match folder.kind(&name) {
            Ok(Kind::File) => folder.file(&name),
            Ok(_) => Err(io::Error::other("it is a link or not a regular file")),
            Err(error) => Err(error),
        };
        let size = match file.and_then(|file| file.metadata()) {
            Ok(metadata) => metadata.len(),
            Err(error) => {
                found.warn(|| format!("{path} is not uploaded: {error}"));
                return Ok(());
            }
        };
        state.bytes = state.bytes.saturating_add(size);
        let limits = self.limits;
        if size > limits.file_bytes {
            let most = limits.file_bytes;
            return Err(over(
                &path,
                &format!("has {size} bytes, and {most} are allowed"),
            ));
        }
        if state.bytes > limits.bytes {
            let most = limits.bytes;
            return Err(over(
                &path,
                &format!("and the files before it have more than {most} bytes"),
            ));
        }
        if found.uploads.len() == limits.files {
            let most = limits.files;
            return Err(over(
                &path,
                &format!("is one file too many: {most} are allowed"),
            ));
        }
        found.uploads.push(Upload {
            workspace: self.workspace.to_owned(),
            folders: state.folders.clone(),
            name,
            path,
            size,
        });
        Ok(())
    }
}

fn over(path: &str, why: &str) -> StepError {
    StepError::final_one(format!(
        "{path} {why}; nothing is uploaded. Name fewer files in globPatterns"
    ))
}

impl Collected {
    fn warn(&mut self, text: impl FnOnce() -> String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(text());
        }
    }
}

fn join(folders: &[OsString], name: Option<&str>) -> String {
    let parts = folders.iter().map(|part| part.to_string_lossy());
    let parts: Vec<_> = parts.chain(name.map(Into::into)).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn names(found: &Collected) -> Vec<&str> {
        found.uploads.iter().map(|u| u.path.as_str()).collect()
    }

    fn all(workspace: &Path, patterns: &[&str]) -> Result<Collected, StepError> {
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let left_out = [".env".to_owned(), "generated.md".to_owned()];
        collect(workspace, &patterns, &left_out, UploadLimits::default())
    }

    #[test]
    fn collects_regular_files_of_the_workspace_only() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret.txt");
        fs::write(&secret, "secret").unwrap();
        let workspace = tempfile::tempdir().unwrap();
        let at = |path: &str| workspace.path().join(path);
        fs::create_dir_all(at("out/deep")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for path in [
            "a.txt",
            "out/b.txt",
            "out/deep/c.txt",
            ".env",
            "generated.md",
            ".git/x.txt",
        ] {
            fs::write(at(path), path).unwrap();
        }
        symlink(&secret, at("out/link.txt")).unwrap();
        symlink(outside.path(), at("folder")).unwrap();
        fs::hard_link(&secret, at("hard.txt")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(at("pipe.txt"))
            .status()
            .unwrap();
        assert!(pipe.success());
        let found = all(workspace.path(), &["**/*", ".env", ".git/**", "folder/**"]).unwrap();
        assert_eq!(names(&found), ["a.txt", "out/b.txt", "out/deep/c.txt"]);
        assert_eq!(found.uploads[1].size, 9);
        let left: Vec<_> = found
            .warnings
            .iter()
            .map(|w| w.split(' ').next().unwrap())
            .collect();
        assert_eq!(left, ["folder", "hard.txt", "out/link.txt", "pipe.txt"]);

        let upload = found.uploads[1].clone();
        assert_eq!(
            io::read_to_string(upload.open().unwrap()).unwrap(),
            "out/b.txt"
        );
        // The folder becomes a link after it was found.
        fs::rename(at("out"), at("moved")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        fs::write(outside.path().join("b.txt"), "other").unwrap();
        assert!(upload.open().is_err());
    }

    #[test]
    fn limits_stop_the_whole_upload() {
        let workspace = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(workspace.path().join(name), "12345").unwrap();
        }
        let patterns = ["*".to_owned()];
        let limits = |files, file_bytes, bytes| UploadLimits {
            files,
            file_bytes,
            bytes,
        };
        let with = |limits| collect(workspace.path(), &patterns, &[], limits);
        assert_eq!(with(limits(3, 5, 15)).unwrap().uploads.len(), 3);
        for (limits, why) in [
            (limits(2, 5, 15), "c is one file too many"),
            (limits(3, 4, 15), "a has 5 bytes"),
            (limits(3, 5, 14), "c and the files before it"),
        ] {
            let error = with(limits).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
        assert!(all(workspace.path(), &["/etc/passwd"]).is_err());
        // A file can be large without a place on the disk.
        let sparse = fs::File::create(workspace.path().join("sparse")).unwrap();
        sparse.set_len((64 << 20) + 1).unwrap();
        let error = all(workspace.path(), &["sparse"]).unwrap_err().to_string();
        assert!(error.contains("67108864 are allowed"), "{error}");
    }

    #[test]
    fn uploads_have_the_place_of_the_contract() {
        let task = "t".parse().unwrap();
        assert_eq!(object_path(&task, None, "a/b"), "sessions/t/uploads/a/b");
        assert_eq!(
            object_path(&task, Some("/p/q/"), "a"),
            "sessions/t/uploads/p/q/a"
        );
    }
}
