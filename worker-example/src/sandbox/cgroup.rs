//! Control groups (cgroups(7), version 2): memory, CPU and processes of a whole task. They need a group that a service
//! manager has delegated to the worker.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::settings::TaskLimits;

const MOUNTS: &str = "/proc/self/mountinfo";
const OWN: &str = "/proc/self/cgroup";
/// The worker's own group beside those of its tasks. A group with processes cannot limit groups below it.
const WORKER: &str = "worker";
const TASK: &str = "task-";
const NEEDED: [&str; 2] = ["memory", "pids"];
/// A tenth of a second, in microseconds.
const CPU_PERIOD: u64 = 100_000;
const REMOVE_PAUSE: Duration = Duration::from_millis(20);
const REMOVE_TRIES: u32 = 250;

/// The group that the worker may divide among its tasks.
#[derive(Debug)]
pub(super) struct Cgroups {
    base: PathBuf,
}

/// The group of one task. Dropping it kills what is left in it, and removes it.
#[derive(Debug)]
pub(super) struct TaskCgroup {
    path: PathBuf,
}

impl Cgroups {
    /// Finds the worker's group and prepares it for tasks.
    ///
    /// # Errors
    /// Why this does not work, for the operator.
    pub(super) fn find() -> Result<Self, String> {
        let text = read(OWN)?;
        let own = own_group(&text).ok_or("this process has no group of version 2")?;
        let mount = mount_point(&read(MOUNTS)?)
            .ok_or("the file system of control groups (version 2) is not mounted")?;
        let own = mount.join(own.trim_start_matches('/'));
        let base = match own.file_name() {
            Some(name) if name == WORKER => own.parent().unwrap_or(&own).to_owned(),
            _ => own,
        };
        Self::at(base)
    }

    fn at(base: PathBuf) -> Result<Self, String> {
        let available = read(base.join("cgroup.controllers"))?;
        let missing: Vec<_> = NEEDED
            .into_iter()
            .filter(|needed| !available.split_whitespace().any(|name| name == *needed))
            .collect();
        if !missing.is_empty() {
            return Err(format!(
                "{} does not control {}",
                base.display(),
                missing.join(" and ")
            ));
        }
        let cannot = |what: &Path, e: &io::Error| format!("cannot write {}: {e}", what.display());
        let worker = base.join(WORKER);
        if let Err(e) = fs::create_dir(&worker)
            && e.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(cannot(&worker, &e));
        }
        let processes = worker.join("cgroup.procs");
        fs::write(&processes, "0").map_err(|e| cannot(&processes, &e))?;
        let control = base.join("cgroup.subtree_control");
        fs::write(&control, "+memory +pids").map_err(|e| cannot(&control, &e))?;
        // Without this controller only the number of CPUs is not limited.
        let _ = fs::write(&control, "+cpu");
        let found = Self { base };
        found.sweep();
        Ok(found)
    }

    /// Creates the group of a task.
    pub(super) fn create(&self, limits: TaskLimits) -> io::Result<TaskCgroup> {
        let name = format!("{TASK}{}", uuid::Uuid::new_v4().as_simple());
        let group = TaskCgroup {
            path: self.base.join(name),
        };
        fs::create_dir(&group.path)?;
        group.set("memory.max", &limits.memory.to_string())?;
        group.set("pids.max", &limits.processes.to_string())?;
        // Kernels without swap do not have the file.
        let _ = group.set("memory.swap.max", "0");
        let quota = u64::from(limits.cpus) * CPU_PERIOD;
        if let Err(error) = group.set("cpu.max", &format!("{quota} {CPU_PERIOD}")) {
            tracing::debug!(%error, "the CPUs of a task are not limited");
        }
        Ok(group)
    }

    /// Removes empty groups of tasks whose worker was killed.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.base) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TASK) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl TaskCgroup {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.path.join(file), value)
    }
}

impl Drop for TaskCgroup {
    fn drop(&mut self) {
        // Linux before 5.14 does not have the file. The supervisor has killed the processes then.
        let _ = self.set("cgroup.kill", "1");
        for _ in 0..REMOVE_TRIES {
            match fs::remove_dir(&self.path) {
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => thread::sleep(REMOVE_PAUSE),
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot remove a task's control group");
                    return;
                }
            }
        }
        tracing::error!(path = %self.path.display(), "a task's control group still has processes");
    }
}

fn read(path: impl AsRef<Path>) -> Result<String, String> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// The line `0::PATH`.
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The fifth field of the line whose type, behind ` - `, is `cgroup2` (proc(5)).
fn mount_point(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        (kind.split(' ').next() == Some("cgroup2")).then_some(())?;
        Some(PathBuf::from(place.split(' ').nth(4)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_the_group_is() {
        assert_eq!(
            own_group("4:memory:/a\n0::/system.slice/x\n"),
            Some("/system.slice/x")
        );
        assert_eq!(own_group("4:memory:/a\n"), None);
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
            30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point("24 1 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn says_which_controller_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let problem = Cgroups::at(folder.path().to_owned()).unwrap_err();
        assert!(problem.ends_with("does not control memory"), "{problem}");
    }

    #[test]
    fn writes_the_limits_of_a_task() {
        // Ordinary files in place of those of the kernel.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
        let groups = Cgroups::at(folder.path().to_owned()).unwrap();
        let limits = TaskLimits {
            memory: 5,
            cpus: 2,
            processes: 7,
            disk: 9,
        };
        let group = groups.create(limits).unwrap();
        let value = |file: &str| fs::read_to_string(group.path().join(file)).unwrap();
        assert_eq!(
            (value("memory.max"), value("pids.max")),
            ("5".into(), "7".into())
        );
        assert_eq!(value("cpu.max"), "200000 100000");
        assert_eq!(value("memory.swap.max"), "0");
    }
}
