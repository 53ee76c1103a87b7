//! Which processes descend from another one, so that none of them outlives it.
//!
//! A process group is not enough: the Claude Code CLI runs its tools in sessions of their own.

use std::{collections::HashMap, fs};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A process, told apart from a later one with the same id by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pid: i32,
    started: u64,
}

impl Seen {
    pub(crate) fn pid(self) -> i32 {
        self.pid
    }
}

/// Every descendant of `root` that exists now. Empty where there is no `/proc`.
pub(crate) fn descendants(root: u32) -> Vec<Seen> {
    let mut children: HashMap<i32, Vec<Seen>> = HashMap::new();
    for (seen, parent) in processes() {
        children.entry(parent).or_default().push(seen);
    }
    let mut found = Vec::new();
    let mut queue = vec![i32::try_from(root).unwrap_or(0)];
    while let Some(parent) = queue.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            queue.push(child.pid);
            found.push(child);
        }
    }
    found
}

/// Kills those of `processes` that still run.
pub(crate) fn kill_survivors(processes: &[Seen]) {
    for seen in processes {
        if stat(seen.pid).is_some_and(|(now, _)| now == *seen) {
            let _ = kill(Pid::from_raw(seen.pid), Signal::SIGKILL);
        }
    }
}

fn processes() -> impl Iterator<Item = (Seen, i32)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
}

fn stat(pid: i32) -> Option<(Seen, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &text)
}

/// Parent and start time from `/proc/PID/stat`; the name in parentheses may hold anything.
fn parse_stat(pid: i32, text: &str) -> Option<(Seen, i32)> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    Some((Seen { pid, started }, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1";
        assert_eq!(
            parse_stat(7, line),
            Some((
                Seen {
                    pid: 7,
                    started: 4242
                },
                3
            ))
        );
    }

    #[test]
    fn half_a_line_is_no_process() {
        assert_eq!(parse_stat(7, "7 (sh) S 3"), None);
    }
}
