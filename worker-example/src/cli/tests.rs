//! The command line and its help.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_that_works() {
    dev_servers::help::assert_help(&Cli::command());
}
