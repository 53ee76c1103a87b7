//! How much disk a task uses. File systems do not limit folders, so the worker looks at intervals. It also keeps some space
//! of the file system free, because it does not see all files that are deleted and still in use.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

use super::{
    deleted::{Deleted, MOST_DESCRIPTORS, Supervisors},
    size::in_use,
};

const PAUSE: Duration = Duration::from_secs(3);
/// A process that hides its open files for so many looks in a row stops the task. The supervisor's own children do for a moment,
/// before they become the program.
const HIDDEN_LOOKS: u32 = 3;
/// The space that stays free: a fiftieth of the file system, and at most this.
const MOST_RESERVE: u64 = 512 << 20;
const RESERVE_PART: u64 = 50;

/// Why a task may not write more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskProblem {
    /// Its folders use more than this many bytes.
    TooMuch(u64),
    /// The worker cannot read one of its folders, and so cannot count the files in it.
    Closed,
    /// It has too many open files to count them.
    TooManyOpen,
    /// A process hides its open files, so that deleted files among them cannot be counted.
    Hidden,
    /// The file system has less than this many bytes free.
    Full(u64),
}

impl fmt::Display for DiskProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMuch(limit) => write!(
                f,
                "the task's files use more than {limit} bytes; write less, or raise the worker's --task-disk"
            ),
            Self::Closed => f.write_str(
                "the worker cannot read a folder of the task to count its files; keep folders readable and paths short",
            ),
            Self::TooManyOpen => write!(
                f,
                "the processes of the task have {MOST_DESCRIPTORS} open files or more; start fewer processes, or close files"
            ),
            Self::Hidden => f.write_str(
                "a process of the task hides its open files, and the worker cannot count deleted ones among them; do not run \
                 programs that forbid to be traced, such as ssh-agent",
            ),
            Self::Full(reserve) => write!(
                f,
                "the worker's disk has less than {reserve} bytes free; write less, or give the worker more disk"
            ),
        }
    }
}

/// Returns when the folder and the deleted files of the task use more than `limit` bytes, or may not grow for another reason.
pub(super) async fn exceeded(
    folder: PathBuf,
    limit: u64,
    supervisors: Arc<Supervisors>,
) -> DiskProblem {
    let mut hidden_looks = 0;
    loop {
        let (folder, supervisors) = (folder.clone(), Arc::clone(&supervisors));
        let looked = spawn_blocking(move || look(&folder, limit, &supervisors)).await;
        match looked {
            Ok(Some(DiskProblem::Hidden)) if hidden_looks + 1 < HIDDEN_LOOKS => hidden_looks += 1,
            Ok(Some(problem)) => return problem,
            Ok(None) | Err(_) => hidden_looks = 0,
        }
        sleep(PAUSE).await;
    }
}

fn look(folder: &Path, limit: u64, supervisors: &Supervisors) -> Option<DiskProblem> {
    let Some(named) = used(folder, limit) else {
        return Some(DiskProblem::Closed);
    };
    let deleted = fs::metadata(folder).map_or(Deleted::Bytes(0), |folder| {
        supervisors.deleted(folder.dev(), limit.saturating_sub(named))
    });
    let (deleted, hides) = match deleted {
        Deleted::Bytes(deleted) => (deleted, false),
        Deleted::Hidden(deleted) => (deleted, true),
        Deleted::TooManyOpen => return Some(DiskProblem::TooManyOpen),
    };
    if named.saturating_add(deleted) > limit {
        return Some(DiskProblem::TooMuch(limit));
    }
    // Where the file system does not tell its size, there is nothing to keep.
    if let Ok(space) = rustix::fs::statvfs(folder) {
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        let reserve = reserve(bytes(space.f_blocks));
        if bytes(space.f_bavail) < reserve {
            return Some(DiskProblem::Full(reserve));
        }
    }
    hides.then_some(DiskProblem::Hidden)
}

fn reserve(size: u64) -> u64 {
    (size / RESERVE_PART).min(MOST_RESERVE)
}

/// The bytes in use. It stops counting above the limit, and follows no link. `None` if a folder is closed.
fn used(folder: &Path, limit: u64) -> Option<u64> {
    let mut next = vec![folder.to_owned()];
    let mut used = 0_u64;
    while let Some(path) = next.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if hides_files(&error) => return None,
            // It has disappeared meanwhile.
            Err(_) => continue,
        };
        used = used.saturating_add(in_use(&metadata));
        if used > limit {
            break;
        }
        if metadata.is_dir() {
            match fs::read_dir(&path) {
                Ok(entries) => {
                    next.extend(entries.flatten().map(|entry| fs::DirEntry::path(&entry)));
                }
                Err(error) if hides_files(&error) => return None,
                Err(_) => {}
            }
        }
    }
    Some(used)
}

/// Whether the task made a path that the worker cannot look at: by a mode, or by a name that is too long.
fn hides_files(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::size::LEAST;
    use std::process::Command;

    #[tokio::test]
    async fn counts_files_and_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let used = |limit| used(folder.path(), limit).unwrap();
        assert_eq!(used(1 << 30), LEAST);
        fs::write(folder.path().join("large"), vec![1; 1 << 20]).unwrap();
        assert!(used(1 << 30) >= 1 << 20);
        let problem = exceeded(folder.path().to_owned(), 1 << 20, Arc::default()).await;
        assert_eq!(problem, DiskProblem::TooMuch(1 << 20));
        for n in 0..100 {
            fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        assert!(used(1 << 30) >= (1 << 20) + 100 * LEAST);
    }

    /// The worker may be root, which no mode keeps out. A path above the limit of the kernel keeps everybody out.
    #[tokio::test]
    async fn files_that_cannot_be_counted_stop_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let name = "n".repeat(250);
        let deep = format!("for i in $(seq 20); do mkdir {name} && cd {name} || exit 1; done");
        let made = Command::new("bash")
            .args(["-c", &deep])
            .current_dir(folder.path())
            .status();
        assert!(made.unwrap().success());
        let problem = exceeded(folder.path().to_owned(), 1 << 30, Arc::default()).await;
        assert_eq!(problem, DiskProblem::Closed);
        let removed = Command::new("rm").arg("-rf").arg(folder.path()).status();
        assert!(removed.unwrap().success());
    }

    #[test]
    fn the_reserve_is_a_part_of_the_file_system() {
        assert_eq!(reserve(0), 0);
        assert_eq!(reserve(50 << 20), 1 << 20);
        assert_eq!(reserve(1 << 50), MOST_RESERVE);
    }
}
