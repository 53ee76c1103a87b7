//! The children of this process, from `/proc`.

use std::fs;

/// The children of a process that have not been collected yet.
pub(super) fn children(parent: i32) -> Vec<i32> {
    let mut children: Vec<i32> = processes()
        .into_iter()
        .filter(|(_, of)| *of == parent)
        .map(|(pid, _)| pid)
        .collect();
    children.sort_unstable();
    children
}

fn processes() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| Some((pid, parent(&fs::read(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The parent in a `stat` line: `PID (NAME) STATE PARENT …`, where a name may hold anything.
fn parent(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_parent_behind_any_name() {
        assert_eq!(parent(b"7 (a) b) (c) S 42 7 7 0"), Some(42));
        assert_eq!(parent(b"7 (\xff) S 42 7"), Some(42));
        assert_eq!(parent(b""), None);
        assert_eq!(parent(b"7 (x)"), None);
    }

    #[test]
    fn finds_children_and_nothing_below_them() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let shell = i32::try_from(child.id()).unwrap();
        let below = children(shell);
        assert_eq!(below.len(), 1, "{below:?}");
        let own = children(std::process::id().cast_signed());
        assert!(own.contains(&shell) && !own.contains(&below[0]), "{own:?}");
        for pid in below {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL)
                .unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
