//! The command line.

use std::{ffi::OsString, fmt, process::ExitCode};

use clap::{Parser, Subcommand};
use temporal_kms_codec_service::{
    arguments,
    exit::Status,
    log::{self, LogFormat},
    memory, terminal,
};

use crate::{
    print,
    submit::{self, Outcome, SubmitArgs, SubmitError},
    tasks::{self, TaskArgs},
    worker::{self, WorkerArgs, WorkerError},
};

/// Every command's exit codes. The README repeats them.
const EXIT_CODES: &str = "\
Exit codes:
    0  the task succeeded, or the command did what it was asked for
    1  the task failed
   64  wrong usage, or a value that a task cannot have
   65  a request file that is not JSON, or a payload that cannot be decrypted
   66  a file cannot be read, or a task does not exist
   69  Temporal or the key service cannot be reached, or no worker is there
   70  a defect of this program
   73  a folder cannot be created
   77  a permission or a credential is missing
   78  a key or a variable is wrong
  130  the task was cancelled";

/// Claude Code tasks as Temporal workflows, with every credential and prompt encrypted end to end.
#[derive(Debug, Parser)]
#[command(name = "claude-tasks", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The format of the log on standard error. `RUST_LOG` sets its level.
    #[arg(
        long,
        global = true,
        env = "CLAUDE_TASKS_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run tasks until SIGTERM or Ctrl-C.
    #[command(after_help = EXIT_CODES)]
    Worker(Box<WorkerArgs>),
    /// Submit a task, show its events, and wait for its end. Ctrl-C cancels the task.
    #[command(after_help = EXIT_CODES)]
    Submit(Box<SubmitArgs>),
    /// Show the events of a task from now on, and wait for its end. Ctrl-C leaves the task alone.
    #[command(after_help = EXIT_CODES)]
    Follow(Box<TaskArgs>),
    /// Wait for a task's end, and print Claude's answer.
    #[command(after_help = EXIT_CODES)]
    Result(Box<TaskArgs>),
    /// Print whether a task runs, or how it ended.
    #[command(after_help = EXIT_CODES)]
    Status(Box<TaskArgs>),
    /// Cancel a task, and do not wait for its end.
    #[command(after_help = EXIT_CODES)]
    Cancel(Box<TaskArgs>),
    /// Hold a task's processes (the worker starts this by itself).
    #[command(hide = true)]
    Supervise,
}

/// The task failed.
const FAILED: u8 = 1;
/// The task was cancelled, as shells say it of Ctrl-C.
const CANCELLED: u8 = 130;

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
        Err(error) => {
            // Without a reader, the status still says it.
            let _ = error.print();
            return if error.use_stderr() {
                Status::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let level = match cli.command {
        // Before anything else runs in this process: it is to be small and to hold nothing.
        Command::Supervise => return crate::process::supervise(),
        Command::Worker(_) => "info",
        _ => "warn",
    };
    log::init(cli.log_format, level);
    // Prompts and credentials are in this process's memory.
    memory::protect();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(cli.command)),
        Err(error) => failed(&error, Status::Software),
    }
}

async fn run(command: Command) -> ExitCode {
    let ended = match command {
        Command::Worker(args) => {
            return match worker::run(*args).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error, worker_status(&error)),
            };
        }
        Command::Submit(args) => submit::run(*args).await,
        Command::Follow(args) => tasks::follow(*args).await,
        Command::Result(args) => tasks::result(*args).await,
        Command::Status(args) => tasks::status(*args).await,
        Command::Cancel(args) => tasks::cancel(*args).await,
        Command::Supervise => return Status::Software.into(),
    };
    exit_code(ended)
}

fn exit_code(ended: Result<Outcome, SubmitError>) -> ExitCode {
    match ended {
        Ok(Outcome::Completed | Outcome::Left) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => FAILED.into(),
        Ok(Outcome::Cancelled) => CANCELLED.into(),
        Err(error) => failed(&error, error.status()),
    }
}

fn worker_status(error: &WorkerError) -> Status {
    match error {
        WorkerError::Connect(error) => error.status(),
        WorkerError::Claude(_) => Status::Configuration,
        WorkerError::Workdir { source, .. } => match source.kind() {
            std::io::ErrorKind::PermissionDenied => Status::NoPermission,
            _ => Status::CannotCreate,
        },
        WorkerError::Signals(_) | WorkerError::Worker(_) => Status::Software,
    }
}

fn failed(error: &dyn fmt::Display, status: Status) -> ExitCode {
    print::note(&terminal::lines(&format!("error: {error}")));
    status.into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_readme_repeats_the_exit_codes() {
        let readme = include_str!("../README.md");
        for line in EXIT_CODES.lines().skip(1) {
            let (code, meaning) = line.trim().split_once("  ").unwrap();
            let row = format!("| {code} | {meaning} |");
            assert!(readme.contains(&row), "{row}");
        }
    }
}
