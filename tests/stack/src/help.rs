//! Checks the help of a program: it fits a terminal, and each of its examples is a valid command line.

use clap::Command;

const COLUMNS: usize = 80;

/// Asserts that the help of `program` and of each of its visible commands fits 80 columns, and that every command without
/// commands of its own has an example. Each example must be a command line that `program` accepts.
///
/// # Panics
/// When it is not so.
pub fn assert_help(program: &Command) {
    for command in commands(program, |command| !command.is_hide_set()) {
        assert_fits(&command);
        let examples = assert_examples(program, &command);
        let has_commands = command.get_subcommands().next().is_some();
        let name = command.get_name();
        assert!(has_commands || examples > 0, "{name} has no example");
    }
}

/// `program` and its commands that are `wanted`, each with its full name, as `--help` shows it.
pub fn commands(program: &Command, wanted: impl Fn(&Command) -> bool) -> Vec<Command> {
    let mut root = program.clone().term_width(COLUMNS);
    root.build();
    let mut found = vec![];
    let mut next = vec![root];
    while let Some(command) = next.pop() {
        let inner = command
            .get_subcommands()
            .filter(|inner| inner.get_name() != "help" && wanted(inner));
        next.extend(inner.cloned());
        found.push(command);
    }
    found
}

/// Asserts that the help of `command` fits 80 columns, and that no example is broken into two lines.
///
/// # Panics
/// When it is not so.
pub fn assert_fits(command: &Command) {
    let name = command.get_name();
    for help in [
        command.clone().term_width(COLUMNS).render_help(),
        command.clone().term_width(COLUMNS).render_long_help(),
    ] {
        let help = help.to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        for line in &lines {
            assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
            assert!(!line.contains("\\\""), "{name}: {line}");
            assert!(!has_bracketed_url(line), "{name}: {line}");
        }
        for line in after_help(command).lines() {
            assert!(lines.contains(&line), "{name} breaks this line: {line}");
        }
    }
}

/// Whether a URL in a doc comment is in the angle brackets of rustdoc, which the help shows as they are.
fn has_bracketed_url(line: &str) -> bool {
    line.split('<').skip(1).any(|behind| {
        let scheme = behind.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| {
            scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
    })
}

/// Asserts that each example of `command` is a command line that `program` accepts. Returns how many there are.
///
/// # Panics
/// When it is not so.
#[must_use]
pub fn assert_examples(program: &Command, command: &Command) -> usize {
    let help = after_help(command);
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
    let examples = examples.split("\n\n").next().unwrap_or_default();
    let mut valid = 0;
    for line in examples.replace("\\\n", " ").lines() {
        let words = words(line);
        let Some(start) = words.iter().position(|word| word == program.get_name()) else {
            continue;
        };
        let arguments = words.iter().skip(start);
        let arguments = arguments.take_while(|word| !["|", ">", "<"].contains(&word.as_str()));
        let parsed = program.clone().try_get_matches_from(arguments);
        if let Err(error) = parsed {
            panic!("{line}: {error}");
        }
        valid += 1;
    }
    valid
}

/// Asserts that the help of `command` has these headings and no other, with these options below them. `Options` is the
/// heading of options that name none.
///
/// # Panics
/// When it is not so.
pub fn assert_headings(command: &Command, expected: &[(&str, &[&str])]) {
    let name = command.get_name();
    let shown: Vec<(&str, &str)> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| {
            let heading = argument.get_help_heading().unwrap_or("Options");
            Some((heading, argument.get_long()?))
        })
        .collect();
    for (heading, options) in expected {
        for option in *options {
            let is_shown = shown.contains(&(*heading, *option));
            assert!(is_shown, "{name}: --{option} is not under {heading}");
        }
    }
    for (heading, option) in shown {
        let is_known = expected.iter().any(|(known, _)| *known == heading);
        assert!(is_known, "{name}: --{option} is under {heading}");
    }
}

/// The text behind the options of `command`.
#[must_use]
pub fn after_help(command: &Command) -> String {
    command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default()
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
