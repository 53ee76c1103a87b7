//! Uses the user's own program instead of the pinned one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Tool, provide};
use crate::{path, step, workspace::Workspace};

/// A version that the demo works with, as `PROGRAM --version` tells it.
pub(crate) struct Oldest {
    /// The text before the number in the line.
    pub(crate) after: &'static str,
    pub(crate) version: (u64, u64),
}

/// The user's own program when it is new enough, else the pinned one.
pub(crate) fn find_or_install(
    workspace: &Workspace,
    tool: &Tool,
    oldest: &Oldest,
) -> anyhow::Result<PathBuf> {
    let Some(found) = path::find(tool.name) else {
        step::note(&format!(
            "{}: not on the PATH, taking the pinned {}",
            tool.name, tool.version
        ));
        return provide(workspace, tool);
    };
    let said = version_line(&found);
    let shown = found.display();
    match said.as_deref() {
        Some(line) if version(line, oldest.after).is_some_and(|found| found >= oldest.version) => {
            step::note(&format!("{}: {shown} ({line})", tool.name));
            return Ok(found);
        }
        Some(line) => step::note(&format!(
            "{}: {shown} says `{line}`, which is too old; taking the pinned {}",
            tool.name, tool.version
        )),
        None => step::note(&format!(
            "{}: {shown} does not tell its version; taking the pinned {}",
            tool.name, tool.version
        )),
    }
    provide(workspace, tool)
}

fn version_line(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Major and minor of the number that follows `after` in `line`.
fn version(line: &str, after: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once(after)?;
    let mut parts = rest.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_programs_print_them() {
        let released = "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)";
        let built = "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)";
        assert_eq!(version(released, "(Server "), Some((1, 29)));
        assert_eq!(version(built, "(Server "), Some((1, 29)));
        assert_eq!(version("2.1.330 (Claude Code)", ""), Some((2, 1)));
        assert_eq!(version("temporal version development", "(Server "), None);
    }
}
