//! The program `claude-tasks`: its command line, and the command that it runs.

mod connection;
mod exit;
mod input;
mod observed;
mod render;
mod sandbox;
mod screen;
mod submit;
mod tasks;
#[cfg(test)]
mod tests;
mod units;
mod watch;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use temporal_kms_codec_service::{
    arguments,
    exit::usage,
    log::{self, EarlyLog, LogFormat},
    memory,
};

use exit::{CommandEnd, CommandError, exit_code, exit_codes};
use submit::SubmitArgs;
use tasks::TaskArgs;
use worker::WorkerArgs;

const PROGRAM: &str = "claude-tasks";

/// Runs Claude Code tasks as Temporal workflows, with prompts and credentials encrypted end to end.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = help(HELP))]
struct Cli {
    /// The format of log lines.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "CLAUDE_TASKS_LOG_FORMAT"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  codec-server keys create local://default --keyring keys
  claude-tasks worker --keyring keys --workdir data
  claude-tasks submit --keyring keys --prompt 'Write a haiku'

The log goes to stderr. RUST_LOG sets its level, such as RUST_LOG=debug.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs tasks until SIGTERM or Ctrl-C.
    #[command(after_help = help(worker::EXAMPLES))]
    Worker(Box<WorkerArgs>),
    /// Submits a task, shows its events, and waits for its end. Ctrl-C cancels the task.
    #[command(after_help = help(submit::EXAMPLES))]
    Submit(Box<SubmitArgs>),
    /// Shows the events of a task from now on, and waits for its end. Ctrl-C does not cancel the task.
    #[command(after_help = help(tasks::FOLLOW_EXAMPLES))]
    Follow(Box<TaskArgs>),
    /// Waits for a task's end, and prints Claude's answer.
    #[command(after_help = help(tasks::RESULT_EXAMPLES))]
    Result(Box<TaskArgs>),
    /// Prints whether a task waits, runs, or how it ended.
    #[command(after_help = help(tasks::STATUS_EXAMPLES))]
    Status(Box<TaskArgs>),
    /// Cancels a task, and does not wait for its end.
    #[command(after_help = help(tasks::CANCEL_EXAMPLES))]
    Cancel(Box<TaskArgs>),
    /// Runs a program for the worker, and ends all its processes. Only the worker starts this command.
    #[command(hide = true)]
    Supervise,
    /// Gives up rights, and becomes a program of a task. Only the supervisor starts this command.
    #[command(hide = true)]
    Confine(crate::sandbox::Confine),
}

fn help(examples: &str) -> String {
    format!("{examples}\n\n{}", exit_codes())
}

/// The definition of the command line, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli: Cli = match arguments::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let log = match cli.command {
        // Before everything else: this process must stay small and hold no secret of the worker.
        Command::Supervise => return crate::sandbox::supervise(),
        Command::Confine(settings) => return crate::sandbox::confine(&settings),
        Command::Worker(_) => Some(EarlyLog::start(cli.log_format, "info")),
        _ => {
            log::init_command(PROGRAM, cli.log_format, "warn");
            None
        }
    };
    // This process holds prompts and credentials.
    memory::protect();
    exit_code(match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(cli.command, log)),
        Err(error) => Err(CommandError::Runtime(error)),
    })
}

async fn run(command: Command, log: Option<EarlyLog>) -> Result<CommandEnd, CommandError> {
    match command {
        Command::Worker(args) => Box::pin(worker::run(*args, log)).await,
        Command::Submit(args) => Box::pin(submit::run(*args)).await,
        Command::Follow(args) => tasks::follow(*args).await,
        Command::Result(args) => tasks::result(*args).await,
        Command::Status(args) => tasks::status(*args).await,
        Command::Cancel(args) => tasks::cancel(*args).await,
        // `main` has run it.
        Command::Supervise | Command::Confine(_) => Ok(CommandEnd::Done),
    }
}
