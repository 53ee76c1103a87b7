//! The command line and its help, and what a panic of the program shows.

use clap::CommandFactory as _;
use dev_servers::{Forms, is_rerun, rerun};

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_that_works() {
    dev_servers::help::assert_help(&Cli::command());
}

const SECRET: &str = "correct-horse-battery-staple";

/// The arguments of a test program are refused, so the program ends before the panic.
#[test]
fn panics_after_the_program_has_begun() {
    if is_rerun() {
        let _ = main();
        panic!("{SECRET}");
    }
}

#[test]
fn a_panic_of_the_program_is_told_without_its_message() {
    let output = rerun("cli::tests::panics_after_the_program_has_begun").unwrap();
    for shown in [&output.stdout, &output.stderr] {
        assert_eq!(Forms::of(SECRET.as_bytes()).find_in(shown), None);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let place = format!("claude-tasks: error: the program panicked at {}:", file!());
    assert!(told.contains(&place), "{told}");
    assert!(told.contains(env!("CARGO_PKG_VERSION")), "{told}");
}
