//! The exit codes of the programs, from their own help.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::ensure;

use super::{cell, commands::Help, head};

/// One table with the codes of all programs.
pub(super) fn page(trees: &[&[Help]]) -> anyhow::Result<String> {
    let mut page = head("Exit codes");
    page.push_str(
        "Exit codes follow BSD's `sysexits.h`, and shells' rule for signals: 128 and the signal's number.\n\n\
         | code | program | meaning |\n|---|---|---|\n",
    );
    let mut rows = BTreeMap::new();
    for program in trees.iter().filter_map(|tree| tree.first()) {
        let codes = codes(&program.text);
        ensure!(
            !codes.is_empty(),
            "`{} --help` lists no exit codes",
            program.command
        );
        for (code, meaning) in codes {
            rows.insert((code, program.command.clone()), meaning);
        }
    }
    for ((code, program), meaning) in rows {
        let _ = writeln!(page, "| {code} | `{program}` | {} |", cell(&meaning));
    }
    page.push_str(
        "\n`codec-server doctor` exits with the code of the first failed check: `codec-server doctor --help` lists them.\n",
    );
    Ok(page)
}

/// The codes below `Exit codes:`.
fn codes(help: &str) -> Vec<(u8, String)> {
    let lines = help
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .skip(1);
    lines
        .map_while(|line| {
            let (code, meaning) = line.trim().split_once(' ')?;
            Some((code.parse().ok()?, meaning.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_end_with_the_list() {
        let help = "Usage: x\n\nExit codes:\n    0  success\n   64  wrong command line\n\nThe log goes to stderr.\n";
        let expected = [
            (0, "success".to_owned()),
            (64, "wrong command line".to_owned()),
        ];
        assert_eq!(codes(help), expected);
    }

    #[test]
    fn a_program_without_codes_is_an_error() {
        let help = Help {
            command: "x".to_owned(),
            text: "Usage: x\n".to_owned(),
        };
        assert!(page(&[&[help]]).is_err());
    }
}
