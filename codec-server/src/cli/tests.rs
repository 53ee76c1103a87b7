//! Help texts: they fit a terminal, and their examples can be copied.

use clap::CommandFactory as _;

use super::*;

const COLUMNS: usize = 80;

/// Every command with its full name, as `--help` shows it.
fn commands() -> Vec<clap::Command> {
    let mut root = Cli::command().term_width(COLUMNS);
    root.build();
    let mut found = vec![];
    let mut next = vec![root];
    while let Some(command) = next.pop() {
        let inner = command
            .get_subcommands()
            .filter(|inner| inner.get_name() != "help");
        next.extend(inner.cloned());
        found.push(command);
    }
    found
}

fn after_help(command: &clap::Command) -> String {
    command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[test]
fn every_help_fits_a_terminal_and_breaks_no_example() {
    for command in commands() {
        let name = command.get_name().to_owned();
        for help in [
            command.clone().term_width(COLUMNS).render_help(),
            command.clone().term_width(COLUMNS).render_long_help(),
        ] {
            let help = help.to_string();
            let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
            for line in &lines {
                assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
                assert!(!line.contains("\\\""), "{name}: {line}");
            }
            for line in after_help(&command).lines() {
                assert!(lines.contains(&line), "{name} breaks this line: {line}");
            }
        }
    }
}

#[test]
fn every_example_is_a_valid_command_line() {
    let mut tried = 0;
    for command in commands() {
        let help = after_help(&command);
        let name = command.get_name();
        assert!(help.contains("Examples:\n"), "{name} has no examples");
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
        let examples = examples.split("\n\n").next().unwrap_or_default();
        for line in examples.replace("\\\n", " ").lines() {
            let words = words(line);
            let Some(start) = words.iter().position(|word| word == PROGRAM) else {
                continue;
            };
            let arguments = words.iter().skip(start);
            let arguments: Vec<&String> = arguments
                .take_while(|word| !["|", ">", "<"].contains(&word.as_str()))
                .collect();
            let parsed = Cli::command().try_get_matches_from(&arguments);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

/// The words of a shell's line, of which some are in single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn commands_that_a_signal_ends_document_the_exit_codes_of_signals() {
    for name in ["encode", "decode", "seal", "open"] {
        let mut all = commands().into_iter();
        let command = all.find(|command| command.get_name() == name).unwrap();
        let help = after_help(&command);
        for code in ["0  success", "65  ", "129  ", "130  ", "141  ", "143  "] {
            assert!(help.contains(code), "{name}: {code}: {help}");
        }
    }
}

#[test]
fn the_program_documents_its_exit_codes() {
    let help = help();
    for status in Status::ALL {
        let line = format!("{:>3}  {}", status.code(), status.meaning());
        assert!(help.contains(&line), "{line}");
    }
}
