//! The project's own commands.
//!
//! `cargo xtask demo` shows the whole product, `cargo xtask test` runs every test, `cargo xtask ci`
//! is what has to pass before a change is taken.

mod bench;
mod book;
mod check;
mod ci;
mod codegen;
mod demo;
mod disk;
mod dist;
mod fuzz;
mod interrupt;
mod packages;
mod path;
mod publish;
mod soak;
mod step;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The project's own commands"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the speed of the library and of the codec server, beside other servers
    Bench(bench::Arguments),
    /// Runs the codec server under load for long, while its key service fails and rotates its key
    Soak(soak::Arguments),
    /// Starts Temporal, the codec server, a worker and a task, and shows what each of them sees
    Demo(demo::Arguments),
    /// Runs every test, with the real servers and libraries that they need
    Test(test::Arguments),
    /// Runs what has to pass before a change is taken: format, lints, docs, licences, tests
    Ci,
    /// Feeds hostile input to everything that reads input from outside
    Fuzz(fuzz::Arguments),
    /// Checks what a release has to pass beside the tests
    #[command(subcommand)]
    Check(check::Check),
    /// Checks that the crates can be published
    PublishCheck(publish::Arguments),
    /// Builds archives and Debian packages of the programs into target/dist
    Dist(dist::Arguments),
    /// Installs the pinned tools of the tests into target/tools
    Tools(tools::Arguments),
    /// Generates the reference pages and builds the book in docs/ into target/book
    Book(book::Arguments),
    /// Regenerates the committed Rust of the .proto files
    Codegen,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("\x1b[1;31merror\x1b[0m: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let workspace = Workspace::discover()?;
    match arguments.command {
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Soak(arguments) => soak::run(&workspace, &arguments),
        Command::Demo(arguments) => demo::run(&workspace, &arguments),
        Command::Test(arguments) => test::run(&workspace, &arguments),
        Command::Ci => ci::run(&workspace),
        Command::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
        Command::Check(check) => check::run(&workspace, &check),
        Command::PublishCheck(arguments) => publish::run(&workspace, &arguments),
        Command::Dist(arguments) => dist::run(&workspace, &arguments),
        Command::Tools(arguments) => tools::run(&workspace, &arguments),
        Command::Book(arguments) => book::run(&workspace, &arguments),
        Command::Codegen => codegen::run(&workspace),
    }
}
