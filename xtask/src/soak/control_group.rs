//! Where the kernel counts the memory of this process: its control group (cgroups(7)), in version 1 or 2.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::Context;

const OWN: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";
/// How long a group may have processes that have just been ended.
const REMOVE_TRIES: u32 = 250;
const REMOVE_PAUSE: Duration = Duration::from_millis(20);

/// Both versions differ in their files and rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The folder of this process's group.
pub(super) fn own() -> anyhow::Result<(Version, PathBuf)> {
    let groups = read(Path::new(OWN))?;
    let (version, path) = own_group(&groups).with_context(|| {
        format!("{OWN} names no control group that the kernel counts memory for")
    })?;
    let folder = folder(&read(Path::new(MOUNTS))?, version, path);
    let folder = folder.with_context(|| format!("the control group {path} is not mounted"))?;
    Ok((version, folder))
}

/// The group among the lines `ID:CONTROLLERS:PATH`. Version 2 has the number 0 and no controllers there. The memory belongs
/// to one version only.
fn own_group(text: &str) -> Option<(Version, &str)> {
    let groups = || {
        text.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
    };
    let first = groups().find(|(_, controllers, _)| has_memory(controllers.split(',')));
    if let Some((_, _, path)) = first {
        return Some((Version::One, path));
    }
    let second = groups().find(|(id, controllers, _)| *id == "0" && controllers.is_empty());
    second.map(|(_, _, path)| (Version::Two, path))
}

/// Whether memory is among the names of controllers.
pub(super) fn has_memory<'n>(mut names: impl Iterator<Item = &'n str>) -> bool {
    names.any(|name| name == "memory")
}

/// The folder of a group. Its file system is among the lines of `/proc/self/mountinfo` (proc(5)). The fourth field is the group
/// that is mounted, and the fifth the place. Behind ` - ` follow the type, the source and the options, such as controllers.
fn folder(mounts: &str, version: Version, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (file_system, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
        let is_wanted = match version {
            Version::One => file_system == "cgroup" && has_memory(options.split(',')),
            Version::Two => file_system == "cgroup2",
        };
        let mut place = place.split(' ').skip(3);
        let (mounted, place) = (place.next()?, place.next()?);
        let below = Path::new(path).strip_prefix(mounted).ok()?;
        is_wanted.then(|| Path::new(place).join(below))
    })
}

/// Reads a file of a group.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes to a file of a group, and does not create it: the kernel has all files that it knows.
pub(super) fn write(file: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(value.as_bytes())
}

/// Removes a group. Its processes have ended.
pub(super) fn remove(group: &Path) {
    let mut removed = fs::remove_dir(group);
    for _ in 0..REMOVE_TRIES {
        match &removed {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            _ => break,
        }
        thread::sleep(REMOVE_PAUSE);
        removed = fs::remove_dir(group);
    }
    if let Err(error) = removed {
        anstream::eprintln!(
            "cannot remove the control group {group}: {error}. End the processes in {group}/cgroup.procs, and run `rmdir {group}`",
            group = group.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1, beside an empty hierarchy of version 2.
    const ONE: &str = "9:name=systemd:/\n8:pids:/\n4:memory:/a:b/c\n0::/\n";
    const TWO: &str = "0::/user.slice/user-1000.slice/run-17.scope\n";
    const MOUNTS_OF_BOTH: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:4 master:1 - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_group_is_the_one_that_counts_memory() {
        assert_eq!(own_group(ONE), Some((Version::One, "/a:b/c")));
        let together = "3:cpu,memory:/both\n";
        assert_eq!(own_group(together), Some((Version::One, "/both")));
        assert_eq!(
            own_group(TWO),
            Some((Version::Two, "/user.slice/user-1000.slice/run-17.scope"))
        );
        for other in ["", "nonsense\n", "8:pids:/a\n1:name=memory:/b\n"] {
            assert_eq!(own_group(other), None, "{other}");
        }
    }

    #[test]
    fn the_folder_is_where_the_group_is_mounted() {
        let found = |version, path| folder(MOUNTS_OF_BOTH, version, path);
        assert_eq!(
            found(Version::One, "/a/b"),
            Some("/sys/fs/cgroup/memory/a/b".into())
        );
        assert_eq!(
            found(Version::Two, "/"),
            Some("/sys/fs/cgroup/unified".into())
        );
        let only_two = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            folder(only_two, Version::Two, "/x"),
            Some("/sys/fs/cgroup/x".into())
        );
        assert_eq!(folder(only_two, Version::One, "/x"), None);
        assert_eq!(folder("", Version::Two, "/x"), None);
    }

    /// A container sees a part of the groups, and its own path from the top.
    #[test]
    fn a_part_of_the_groups_may_be_mounted() {
        let part = "5 4 0:32 /docker/17 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let found = |path| folder(part, Version::One, path);
        let mounted = || Some("/sys/fs/cgroup/memory".into());
        assert_eq!(found("/docker/17"), mounted());
        assert_eq!(
            found("/docker/17/a"),
            mounted().map(|mounted: PathBuf| mounted.join("a"))
        );
        assert_eq!(found("/docker/18"), None);
    }

    #[test]
    fn no_file_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("memory.max"), "1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
