//! The commands of a program, from its own help.

use std::{fmt::Write as _, process::Command};

use anyhow::{Context, ensure};

use super::head;
use crate::workspace::Workspace;

/// A program's command with its help.
pub(super) struct Help {
    /// The whole command, such as `codec-server keys create`.
    pub(super) command: String,
    pub(super) text: String,
}

/// The help of `program` and of every command below it.
pub(super) fn tree(workspace: &Workspace, program: &str) -> anyhow::Result<Vec<Help>> {
    let path = workspace.programs().join(program);
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        // The page must not depend on the environment of the person who generates it.
        let output = Command::new(&path)
            .args(&command)
            .arg("--help")
            .env_clear()
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        let name = [&[program.to_owned()], &command[..]].concat().join(" ");
        ensure!(output.status.success(), "`{name} --help` failed");
        let text = String::from_utf8(output.stdout)
            .with_context(|| format!("`{name} --help` is not UTF-8"))?;
        let below = subcommands(&text);
        waiting.extend(
            below
                .into_iter()
                .rev()
                .map(|next| [&command[..], &[next]].concat()),
        );
        found.push(Help {
            command: name,
            text,
        });
    }
    Ok(found)
}

/// The page of one program.
pub(super) fn page(tree: &[Help]) -> String {
    let program = tree.first().map_or("", |help| &help.command);
    let mut page = head(&format!("{program} commands"));
    for help in tree {
        let text: Vec<&str> = help.text.trim().lines().map(str::trim_end).collect();
        let (command, text) = (&help.command, text.join("\n"));
        let _ = writeln!(page, "## {command}\n\n```text\n{text}\n```\n");
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// The names under `Commands:`, without `help`.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            // A description that is wrapped is indented more.
            let name = line.strip_prefix("  ")?;
            (!name.starts_with(' ')).then(|| name.split_whitespace().next())?
        })
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commands_are_found_below_their_heading_only() {
        let help = "Does things\n\nUsage: x\n\nCommands:\n  dev     Serves\n          more\n  keys    Keys\n  help    Print\n\n\
                    Options:\n  -h, --help\n";
        assert_eq!(subcommands(help), ["dev", "keys"]);
        assert!(subcommands("Options:\n  -h\n").is_empty());
    }

    #[test]
    fn a_page_has_each_command_with_its_help() {
        let help = |command: &str| Help {
            command: command.to_owned(),
            text: "Text  \n\n".to_owned(),
        };
        let page = page(&[help("x"), help("x keys")]);
        assert!(page.starts_with("# x commands\n\n<!-- Generated"), "{page}");
        assert!(
            page.ends_with("## x keys\n\n```text\nText\n```\n"),
            "{page}"
        );
    }
}
