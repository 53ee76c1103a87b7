//! Files that a task has deleted and still holds open. They are in no folder, and use its disk.

use std::{collections::HashSet, fs, io, os::unix::fs::MetadataExt as _};

use nix::unistd::getuid;
use parking_lot::Mutex;

use super::{
    size::in_use,
    tree::{Process, descendants, user_of},
};

/// How many descriptors are looked at, so that a task with very many of them costs little time.
pub(super) const MOST_DESCRIPTORS: usize = 100_000;

/// What is known of the deleted files of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// They use this many bytes.
    Bytes(u64),
    /// The task has at least [`MOST_DESCRIPTORS`] open files.
    TooManyOpen,
    /// A process hides its open files. The others use this many bytes.
    Hidden(u64),
}

/// The supervisors of one task's programs. All processes of the task are below them.
#[derive(Debug, Default)]
pub(super) struct Supervisors(Mutex<Vec<Process>>);

impl Supervisors {
    /// Notes a supervisor that has just been started.
    pub(super) fn add(&self, pid: i32) {
        let mut all = self.0.lock();
        all.retain(|earlier| earlier.still_exists());
        all.extend(Process::with_id(pid));
    }

    /// The bytes that deleted files use on this device, as `st_dev` of stat(2) names it. It stops counting above `limit`.
    ///
    /// A file is not seen if it is only mapped, or on its way through a socket, or on a file system such as overlayfs that gives
    /// it the number of another device. Nor are the files of a process that has another user, if the worker may not look at it.
    pub(super) fn deleted(&self, device: u64, limit: u64) -> Deleted {
        let supervisors = self.0.lock().clone();
        let processes = supervisors
            .iter()
            .filter(|supervisor| supervisor.still_exists())
            .flat_map(|supervisor| descendants(supervisor.id()));
        let mut hides = false;
        let descriptors = processes
            .filter_map(
                |process| match fs::read_dir(format!("/proc/{}/fd", process.id())) {
                    Ok(descriptors) => Some(descriptors),
                    Err(error) => {
                        hides |= is_hidden(process, &error);
                        None
                    }
                },
            )
            .flatten();
        let (mut seen, mut used) = (HashSet::new(), 0_u64);
        for (number, descriptor) in descriptors.flatten().enumerate() {
            if number >= MOST_DESCRIPTORS {
                return Deleted::TooManyOpen;
            }
            // The link leads to the open file, also without a name.
            let Ok(file) = fs::metadata(descriptor.path()) else {
                continue;
            };
            let is_deleted = file.is_file() && file.nlink() == 0 && file.dev() == device;
            if is_deleted && seen.insert(file.ino()) {
                used = used.saturating_add(in_use(&file));
                if used > limit {
                    break;
                }
            }
        }
        if hides {
            Deleted::Hidden(used)
        } else {
            Deleted::Bytes(used)
        }
    }
}

/// Whether a process that has not ended keeps the worker from its open files. As the worker's user it can do so by prctl(2). A
/// process of another user is closed to a worker without `CAP_SYS_PTRACE` in any case, and does nothing for it.
fn is_hidden(process: Process, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        && process.still_exists()
        && user_of(process.id()) == Some(getuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Read as _,
        process::{Command, Stdio},
    };

    #[test]
    fn counts_each_deleted_file_of_the_processes_below_once() {
        let folder = tempfile::tempdir().unwrap();
        // Two processes hold the deleted file. The other one has a name, so it is counted in its folder.
        let script = "exec 3>deleted 4>named; rm deleted; head -c 2000000 /dev/zero >&3; head -c 9000000 /dev/zero >&4
            sleep 60 & echo ready; wait";
        let mut supervisor = Command::new("sh")
            .args(["-c", "sh -c \"$0\" & wait", script])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        let output = supervisor.stdout.as_mut().unwrap();
        output.read_exact(&mut ready).unwrap();

        let supervisors = Supervisors::default();
        let pid = supervisor.id().cast_signed();
        supervisors.add(pid);
        let device = fs::metadata(folder.path()).unwrap().dev();
        let Deleted::Bytes(used) = supervisors.deleted(device, u64::MAX) else {
            panic!("the files of these processes can be counted");
        };
        assert!((2_000_000..3_000_000).contains(&used), "{used}");
        assert_eq!(supervisors.deleted(device + 1, u64::MAX), Deleted::Bytes(0));

        for process in descendants(pid) {
            process.kill();
        }
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        assert_eq!(supervisors.deleted(device, u64::MAX), Deleted::Bytes(0));
    }
}
