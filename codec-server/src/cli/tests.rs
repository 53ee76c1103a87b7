//! Help texts: they fit a terminal, and their examples can be copied. What a panic of the program shows.

use clap::CommandFactory as _;
use dev_servers::{
    PANIC_SECRET, assert_panic_is_told,
    help::{after_help, assert_examples, assert_fits},
    is_rerun, rerun,
};

use super::*;

/// Every command with its full name, as `--help` shows it.
fn commands() -> Vec<clap::Command> {
    dev_servers::help::commands(&Cli::command(), |_| true)
}

#[test]
fn every_help_fits_a_terminal_and_breaks_no_example() {
    for command in commands() {
        assert_fits(&command);
    }
}

#[test]
fn every_example_is_a_valid_command_line() {
    let mut tried = 0;
    for command in commands() {
        let name = command.get_name();
        let help = after_help(&command);
        assert!(help.contains("Examples:\n"), "{name} has no examples");
        tried += assert_examples(&Cli::command(), &command);
    }
    assert!(tried > 30, "{tried}");
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
fn servers_and_commands_of_keys_document_their_exit_codes() {
    let all = commands();
    let is_server = |name: &str| ["dev", "serve"].contains(&name);
    let documented = all.iter().filter(|command| {
        let name = command.get_name();
        let is_of_keys = command
            .get_bin_name()
            .is_some_and(|whole| whole.contains(" keys "));
        let has_codes = after_help(command).contains("\n   78  ");
        assert!(has_codes || !(is_server(name) || is_of_keys), "{name}");
        is_server(name) || is_of_keys
    });
    assert!(documented.count() > 10);
}

#[test]
fn the_output_of_open_has_another_default_than_that_of_seal() {
    for (name, expected) in [
        ("seal", "FILE.sealed]"),
        ("open", "FILE without `.sealed`]"),
    ] {
        let mut all = commands().into_iter();
        let command = all.find(|command| command.get_name() == name).unwrap();
        let output = command.get_arguments().find(|arg| arg.get_id() == "output");
        let help = output.unwrap().get_help().unwrap().to_string();
        assert!(help.ends_with(expected), "{name}: {help}");
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

/// The arguments of a test program are refused, so the program ends before the panic.
#[test]
fn panics_after_the_program_has_begun() {
    if is_rerun() {
        let _ = main();
        panic!("{PANIC_SECRET}");
    }
}

#[test]
fn a_panic_of_the_program_is_told_without_its_message() {
    let output = rerun("cli::tests::panics_after_the_program_has_begun").unwrap();
    assert_panic_is_told(&output, "codec-server", file!(), env!("CARGO_PKG_VERSION"));
}
