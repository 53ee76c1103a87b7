//! The command line and its help, and what a panic of the program shows.

use clap::CommandFactory as _;
use dev_servers::{PANIC_SECRET, assert_panic_is_told, is_rerun, rerun};

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_that_works() {
    dev_servers::help::assert_help(&Cli::command());
}

#[test]
fn options_are_under_the_heading_of_their_group() {
    const OPTIONS: (&str, &[&str]) = ("Options", &["log-format", "help"]);
    const CONNECTION: (&str, &[&str]) = ("Connection", &["address", "store", "tls-key"]);
    const API: (&str, &[&str]) = ("API", &["config", "sign-with"]);
    const WORKER: &[(&str, &[&str])] = &[
        OPTIONS,
        CONNECTION,
        ("Worker", &["workdir", "max-tasks", "log-retention"]),
        ("Claude Code", &["claude", "permission-mode"]),
        (
            "Limits of a task",
            &["max-timeout", "max-tokens", "allowed-model"],
        ),
        ("Sandbox", &["sandbox", "task-network", "task-disk"]),
        ("Repositories and webhooks", &["git", "webhook-age"]),
        (
            "Probes, metrics and audit log",
            &["admin-listen", "audit-log"],
        ),
    ];
    let one_task: &[(&str, &[&str])] = &[OPTIONS, ("Options", &["json"]), CONNECTION];
    let submit: &[(&str, &[&str])] = &[
        OPTIONS,
        ("Options", &["json", "detach", "require-worker"]),
        CONNECTION,
        ("Connection", &["server"]),
        ("Task", &["prompt", "task-id", "queue-time", "sign-with"]),
    ];
    let commands = dev_servers::help::commands(&Cli::command(), |_| true);
    for (name, headings) in [
        ("worker", WORKER.to_vec()),
        ("all", [WORKER, &[API]].concat()),
        ("api", vec![OPTIONS, CONNECTION, API]),
        ("submit", submit.to_vec()),
        ("list", one_task.to_vec()),
        ("logs", one_task.to_vec()),
        ("status", one_task.to_vec()),
    ] {
        let command = commands.iter().find(|command| command.get_name() == name);
        dev_servers::help::assert_headings(command.unwrap(), &headings);
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
    assert_panic_is_told(&output, "claude-tasks", file!(), env!("CARGO_PKG_VERSION"));
}
