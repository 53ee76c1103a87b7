//! The processes below a process, as `/proc` lists them.

use std::{collections::HashMap, fs};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};

/// A process at the time it was seen. Its id may belong to another process later, so the start time identifies it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    parent: i32,
    /// In ticks since the machine started.
    started: u64,
}

/// Every process that descends from `root`, without `root` itself.
pub(super) fn descendants(root: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        // Processes that start and end while `/proc` is read can look like a circle. Removing them from the map ends it.
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            next.push(child.pid);
        }
    }
    found
}

/// The oldest child of the oldest child, and so on, this many levels below `root`.
pub(super) fn first_below(root: i32, levels: u32) -> Option<Process> {
    let all = processes();
    let oldest_child = |parent: i32| {
        let children = all.iter().filter(|process| process.parent == parent);
        children
            .min_by_key(|child| (child.started, child.pid))
            .copied()
    };
    let mut found = oldest_child(root)?;
    for _ in 1..levels {
        found = oldest_child(found.pid)?;
    }
    Some(found)
}

/// Every process of a user that has not ended.
pub(super) fn of_user(id: u32) -> Vec<Process> {
    let mut found = processes();
    found.retain(|process| user_of(process.pid) == Some(id));
    found
}

/// The real user in `/proc/PID/status`. `None` for a process that has ended, also if its parent has not collected it yet.
pub(super) fn user_of(pid: i32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    if field("State:\t")?.starts_with('Z') {
        return None;
    }
    field("Uid:\t")?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

impl Process {
    /// The process that has this id now.
    pub(super) fn with_id(pid: i32) -> Option<Self> {
        read_process(pid)
    }

    pub(super) fn id(self) -> i32 {
        self.pid
    }

    /// Kills the process, and never another process that got its id.
    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal to the process, and never to another process that got its id.
    pub(super) fn signal(self, which: Signal) {
        let Some(number) = Pid::from_raw(self.pid) else {
            return;
        };
        match pidfd_open(number, PidfdFlags::empty()) {
            // The descriptor stays with one process. The comparison shows that it is the right one.
            Ok(held) if self.still_exists() => {
                let _ = pidfd_send_signal(held, which);
            }
            // Linux before 5.3.
            Err(Errno::NOSYS) if self.still_exists() => {
                let _ = kill_process(number, which);
            }
            _ => {}
        }
    }

    /// Whether it has not ended, and its id does not belong to another process.
    pub(super) fn still_exists(self) -> bool {
        read_process(self.pid).is_some_and(|now| now.started == self.started)
    }
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| read_process(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn read_process(pid: i32) -> Option<Process> {
    let (parent, started) = parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    Some(Process {
        pid,
        parent,
        started,
    })
}

/// The parent and the start time in a `stat` line, `PID (NAME) STATE PARENT …`. The name may hold any characters. The start
/// time is field 22 (proc(5)).
fn parse(stat: &[u8]) -> Option<(i32, u64)> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

#[cfg(test)]
mod tests {
    use nix::unistd;

    use super::*;

    #[test]
    fn reads_the_fields_behind_any_name() {
        let fields = b" S 42 7 7 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 123456 2928640 228";
        for name in [&b"7 (a) b) (c)"[..], b"7 (\xff)"] {
            let line = [name, fields].concat();
            assert_eq!(parse(&line), Some((42, 123_456)));
        }
        for cut in [&b""[..], b"7 (x)", b"7 (x) S 42 7 7 0"] {
            assert_eq!(parse(cut), None);
        }
    }

    #[test]
    fn a_process_that_got_the_number_of_another_is_not_hit() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let seen = read_process(child.id().cast_signed()).unwrap();
        let earlier = Process {
            started: seen.started - 1,
            ..seen
        };
        earlier.kill();
        // If the process had been killed, this later signal would not decide how it ends.
        nix::sys::signal::kill(unistd::Pid::from_raw(seen.pid), nix::sys::signal::SIGTERM).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&ended),
            Some(15)
        );

        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        read_process(child.id().cast_signed()).unwrap().kill();
        let ended = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&ended),
            Some(9)
        );
    }

    #[test]
    fn finds_a_grandchild() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let shell = i32::try_from(child.id()).unwrap();
        let below = descendants(shell);
        assert_eq!(below.len(), 1, "{below:?}");
        assert!(descendants(std::process::id().cast_signed()).contains(&below[0]));
        for process in below {
            process.kill();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
