//! Limits the memory of the codec server by a control group, as a container does.
//!
//! The group is made in the group of this process, whose own limits hold for it too. Each version has its documentation in the
//! kernel: `admin-guide/cgroup-v1/memory.rst` and `admin-guide/cgroup-v2.rst`. A library for control groups would replace
//! the names of ten files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;

use super::control_group::{self, Version, has_memory, read, remove, write};

const NAME: &str = "codec-server-soak";
const PROCESSES: &str = "cgroup.procs";
const REMEDY: &str = "Run the soak as root where /sys/fs/cgroup is writable. With control groups of version 2, run it in a \
                      group that is yours: `systemd-run --user --scope --property=Delegate=yes cargo xtask soak …`";

/// A control group with limited memory and without swap. Dropping it removes it: end its processes before.
pub(super) struct MemoryLimit {
    mib: u32,
    version: Version,
    group: PathBuf,
    /// Is undone after the group is removed.
    _moved: Option<Moved>,
}

/// What the kernel counted in the group.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct GroupMemory {
    pub(super) limit_mib: u32,
    /// The most memory that the group had. It includes pages of files that the kernel can drop. Before Linux 5.19,
    /// version 2 does not know it.
    pub(super) peak_mib: Option<f64>,
    /// How often the group reached its limit. The kernel then drops pages of files, and kills a process when that is not
    /// enough.
    pub(super) reached: u64,
    pub(super) kills: u64,
}

impl MemoryLimit {
    /// # Errors
    /// Control groups cannot be made here. The error says what to do.
    pub(super) fn new(mib: u32) -> anyhow::Result<Self> {
        let made = control_group::own().and_then(|(version, own)| Self::below(&own, version, mib));
        made.map_err(|error| anyhow!("cannot limit the server's memory: {error:#}. {REMEDY}"))
    }

    fn below(own: &Path, version: Version, mib: u32) -> anyhow::Result<Self> {
        let moved = match version {
            Version::One => None,
            Version::Two => distribute_memory(own)?,
        };
        let group = own.join(format!("{NAME}-{}", process::id()));
        create(&group)?;
        let limit = Self {
            mib,
            version,
            group,
            _moved: moved,
        };
        limit.set()?;
        Ok(limit)
    }

    fn set(&self) -> anyhow::Result<()> {
        let set = |name: &str, value: &str| write(&self.group.join(name), value);
        let bytes = (u64::from(self.mib) << 20).to_string();
        let (limit, swap) = match self.version {
            // No swappiness means no swap, also where the kernel does not count swap.
            Version::One => ("memory.limit_in_bytes", "memory.swappiness"),
            Version::Two => ("memory.max", "memory.swap.max"),
        };
        set(limit, &bytes).with_context(|| format!("cannot write {limit} of {}", self.shown()))?;
        match set(swap, "0") {
            // The kernel was built without swap.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.with_context(|| format!("cannot write {swap} of {}", self.shown())),
        }
    }

    fn shown(&self) -> impl std::fmt::Display {
        self.group.display()
    }

    /// A command that enters the group before the program begins, so that all of the program's memory counts. It runs a copy of
    /// the program: pages of the program's file count for the first group that needs them, and the file itself has been read
    /// before.
    pub(super) fn command(&self, program: &Path, copy: &Path) -> Command {
        const ENTER: &str = r#"echo $$ > "$0" && cp "$1" "$2" && shift && exec "$@""#;

        let mut command = Command::new("sh");
        command.args(["-c", ENTER]).arg(self.group.join(PROCESSES));
        command.arg(program).arg(copy);
        command
    }

    pub(super) fn memory(&self) -> anyhow::Result<GroupMemory> {
        memory(&self.group, self.version, self.mib)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        remove(&self.group);
    }
}

fn create(group: &Path) -> anyhow::Result<()> {
    fs::create_dir(group)
        .with_context(|| format!("cannot create the control group {}", group.display()))
}

/// What the files of a group say.
fn memory(group: &Path, version: Version, limit_mib: u32) -> anyhow::Result<GroupMemory> {
    let whole = |file: &str| {
        let text = read(&group.join(file))?;
        number(&text).with_context(|| format!("{}/{file} is not a number", group.display()))
    };
    let line = |file: &str, name: &str| {
        let text = read(&group.join(file))?;
        let found = named(&text, name);
        found.with_context(|| format!("{}/{file} has no number {name}", group.display()))
    };
    let (peak, reached, kills) = match version {
        Version::One => (
            Some(whole("memory.max_usage_in_bytes")?),
            whole("memory.failcnt")?,
            line("memory.oom_control", "oom_kill")?,
        ),
        Version::Two => {
            const PEAK: &str = "memory.peak";
            let is_known = group.join(PEAK).exists();
            (
                is_known.then(|| whole(PEAK)).transpose()?,
                line("memory.events", "max")?,
                line("memory.events", "oom_kill")?,
            )
        }
    };
    Ok(GroupMemory {
        limit_mib,
        peak_mib: peak.map(mib),
        reached,
        kills,
    })
}

fn mib(bytes: u64) -> f64 {
    let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    f64::from(kib) / 1024.0
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number behind a name. Each line has both.
fn named(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(known, _)| *known == name)?;
    number(value)
}

/// Has a group of version 2 distribute its memory to the groups below it.
///
/// Only the root may do so while it has processes. From another group, this process moves to one below it. That is enough
/// where the group has no other process, as in a scope of systemd. Without a move, the group goes on to distribute its
/// memory after the soak: another program may rely on it by then.
fn distribute_memory(group: &Path) -> anyhow::Result<Option<Moved>> {
    let available = read(&group.join("cgroup.controllers"))?;
    ensure!(
        has_memory(available.split_whitespace()),
        "the control group {} does not control memory",
        group.display()
    );
    let controls = read(&control(group))?;
    if has_memory(controls.split_whitespace()) {
        return Ok(None);
    }
    match write(&control(group), "+memory") {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Moved::below(group).map(Some),
        other => {
            other.with_context(|| format!("cannot write {}", control(group).display()))?;
            Ok(None)
        }
    }
}

/// This process in a group below its own, which distributes its memory. Dropping it undoes both.
struct Moved {
    from: PathBuf,
    to: PathBuf,
}

impl Moved {
    fn below(group: &Path) -> anyhow::Result<Self> {
        let below = group.join(format!("{NAME}-{}-own", process::id()));
        create(&below)?;
        let moved = Self {
            from: group.to_owned(),
            to: below,
        };
        // The process that writes.
        write(&moved.to.join(PROCESSES), "0")
            .with_context(|| format!("cannot move to the control group {}", moved.to.display()))?;
        write(&control(group), "+memory").with_context(|| {
            format!(
                "the control group {} has other processes, or cannot distribute its memory",
                group.display()
            )
        })?;
        Ok(moved)
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        // A group that distributes memory takes no process.
        let undone = write(&control(&self.from), "-memory");
        let back = undone.and_then(|()| write(&self.from.join(PROCESSES), "0"));
        if let Err(error) = back {
            let group = self.from.display();
            anstream::eprintln!("cannot move back to the control group {group}: {error}");
        }
        remove(&self.to);
    }
}

fn control(group: &Path) -> PathBuf {
    group.join("cgroup.subtree_control")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Ordinary files in place of those of the kernel.
    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn expected() -> GroupMemory {
        GroupMemory {
            limit_mib: 256,
            peak_mib: Some(200.5),
            reached: 17,
            kills: 1,
        }
    }

    const PEAK: &str = "210239488\n";

    #[test]
    fn version_1_tells_the_memory_of_a_group() {
        let group = files(&[
            ("memory.max_usage_in_bytes", PEAK),
            ("memory.failcnt", "17\n"),
            (
                "memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            ),
        ]);
        let memory = |version| memory(group.path(), version, 256);
        assert_eq!(memory(Version::One).unwrap(), expected());
        let error = memory(Version::Two).unwrap_err().to_string();
        assert!(error.contains("memory.events"), "{error}");
    }

    #[test]
    fn version_2_tells_the_memory_of_a_group_and_old_kernels_no_peak() {
        let events = "low 0\nhigh 3\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n";
        let group = files(&[("memory.peak", PEAK), ("memory.events", events)]);
        let memory = || memory(group.path(), Version::Two, 256).unwrap();
        assert_eq!(memory(), expected());
        fs::remove_file(group.path().join("memory.peak")).unwrap();
        let without_peak = GroupMemory {
            peak_mib: None,
            ..expected()
        };
        assert_eq!(memory(), without_peak);
    }

    #[test]
    fn files_of_another_form_are_named() {
        let group = files(&[("memory.peak", "max\n"), ("memory.events", "max 1\n")]);
        let error = || {
            memory(group.path(), Version::Two, 1)
                .unwrap_err()
                .to_string()
        };
        assert!(
            error().ends_with("memory.peak is not a number"),
            "{}",
            error()
        );
        fs::write(group.path().join("memory.peak"), PEAK).unwrap();
        assert!(
            error().ends_with("memory.events has no number oom_kill"),
            "{}",
            error()
        );
    }

    #[test]
    fn a_group_with_processes_goes_on_to_distribute_its_memory() {
        let group = files(&[
            ("cgroup.controllers", "cpu memory pids\n"),
            ("cgroup.subtree_control", ""),
        ]);
        let controls = || fs::read_to_string(control(group.path())).unwrap();
        let distributed = || {
            let moved = distribute_memory(group.path()).unwrap();
            assert!(moved.is_none());
            controls()
        };
        assert_eq!(distributed(), "+memory");

        fs::write(control(group.path()), "cpu memory\n").unwrap();
        assert_eq!(distributed(), "cpu memory\n");
    }

    #[test]
    fn a_process_that_moved_moves_back() {
        let group = files(&[("cgroup.subtree_control", ""), (PROCESSES, "")]);
        let to = group.path().join("below");
        fs::create_dir(&to).unwrap();
        drop(Moved {
            from: group.path().to_owned(),
            to: to.clone(),
        });
        let written = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(written(&control(group.path())), "-memory");
        assert_eq!(written(&group.path().join(PROCESSES)), "0");
        assert!(!to.exists());
    }

    #[test]
    fn a_group_that_does_not_control_memory_is_named() {
        let group = files(&[("cgroup.controllers", "cpu pids\n")]);
        let error = distribute_memory(group.path()).err().unwrap();
        let named = format!(
            "the control group {} does not control memory",
            group.path().display()
        );
        assert_eq!(error.to_string(), named);
    }

    #[test]
    fn a_program_enters_the_group_before_it_begins() {
        let group = files(&[(PROCESSES, "")]);
        let limit = MemoryLimit {
            mib: 1,
            version: Version::Two,
            group: group.path().to_owned(),
            _moved: None,
        };
        let folder = files(&[("program", "#!/bin/sh\necho \"$$ $1\"\n")]);
        let program = folder.path().join("program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = limit.command(&program, &folder.path().join("copy"));
        let output = command.arg("two words").output().unwrap();
        let entered = fs::read_to_string(group.path().join(PROCESSES)).unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, format!("{} two words\n", entered.trim()));
        fs::remove_file(group.path().join(PROCESSES)).unwrap();
        drop(limit);
        assert!(!group.path().exists());
    }
}
