//! The program `claude-tasks`: its command line, and the command that it runs.

mod all;
mod api;
mod claude;
mod connection;
mod exit;
mod input;
mod limits;
mod list;
mod log_retention;
mod logs;
mod observed;
mod render;
mod sandbox;
mod screen;
mod server;
mod setup;
mod steps;
mod store_choice;
mod submit;
mod tasks;
#[cfg(test)]
mod tests;
mod units;
mod verify_webhook;
mod watch;
mod webhook_input;
mod worker;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use temporal_kms_codec_service::{
    arguments, dotenv,
    exit::usage,
    log::{self, EarlyLog, LogFormat},
    memory, panics,
};

use all::AllArgs;
use api::ApiArgs;
use exit::{CommandEnd, CommandError, exit_code, exit_codes};
use list::ListArgs;
use logs::LogsArgs;
use setup::SetupArgs;
use submit::SubmitArgs;
use tasks::TaskArgs;
use webhook_input::VerifyWebhookArgs;
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
  claude-tasks all --keyring keys --workdir data
  claude-tasks submit --server http://127.0.0.1:8080 \
    --prompt 'Write a haiku'

The log goes to stderr. RUST_LOG sets its level, such as RUST_LOG=debug.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs tasks until SIGTERM or Ctrl-C.
    #[command(after_help = help(worker::EXAMPLES))]
    Worker(Box<WorkerArgs>),
    /// Serves the HTTP API until SIGTERM or Ctrl-C.
    #[command(after_help = help(api::EXAMPLES))]
    Api(Box<ApiArgs>),
    /// Serves the HTTP API and runs tasks in one process until SIGTERM or Ctrl-C.
    #[command(after_help = help(all::EXAMPLES))]
    All(Box<AllArgs>),
    /// Submits a task, shows its events, and waits for its end. Ctrl-C cancels the task.
    #[command(after_help = help(submit::EXAMPLES))]
    Submit(Box<SubmitArgs>),
    /// Lists the newest tasks.
    #[command(after_help = help(list::EXAMPLES))]
    List(Box<ListArgs>),
    /// Shows the events of a task from now on, and waits for its end. Ctrl-C does not cancel the task.
    #[command(after_help = help(tasks::FOLLOW_EXAMPLES))]
    Follow(Box<TaskArgs>),
    /// Waits for a task's end, and prints Claude's answer.
    #[command(after_help = help(tasks::RESULT_EXAMPLES))]
    Result(Box<TaskArgs>),
    /// Prints whether a task waits, runs, or how it ended.
    #[command(after_help = help(tasks::STATUS_EXAMPLES))]
    Status(Box<TaskArgs>),
    /// Prints the log of a task from the store.
    #[command(after_help = help(logs::EXAMPLES))]
    Logs(Box<LogsArgs>),
    /// Cancels a task, and does not wait for its end.
    #[command(after_help = help(tasks::CANCEL_EXAMPLES))]
    Cancel(Box<TaskArgs>),
    /// Sets the service up at a cloud.
    Setup(SetupArgs),
    /// Checks that a webhook on standard input is from this service, and was not changed.
    #[command(after_help = help(verify_webhook::EXAMPLES))]
    VerifyWebhook(Box<VerifyWebhookArgs>),
    /// Runs a program for the worker, and ends all its processes. Only the worker starts this command.
    #[command(hide = true)]
    Supervise,
    /// Gives up rights, and becomes a program of a task. Only the supervisor starts this command.
    #[command(hide = true)]
    Confine(crate::sandbox::Confine),
    /// Passes connections of a task on to its proxy. Only `confine` starts this command.
    #[command(hide = true)]
    Forward(crate::sandbox::Forward),
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
    panics::install(PROGRAM, env!("CARGO_PKG_VERSION"));
    let _written = log::FlushOnDrop;
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Err(failure) = dotenv::load(command(), &arguments, &crate::store::VARIABLES) {
        return failure.report(PROGRAM);
    }
    let cli: Cli = match arguments::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let log = match cli.command {
        // Before everything else: this process must stay small and hold no secret of the worker.
        Command::Supervise => return crate::sandbox::supervise(),
        Command::Confine(settings) => return crate::sandbox::confine(&settings),
        Command::Forward(settings) => return crate::sandbox::forward(&settings),
        Command::Worker(_) | Command::Api(_) | Command::All(_) => {
            Some(EarlyLog::start(cli.log_format, log_level()))
        }
        _ => {
            log::init_command(PROGRAM, cli.log_format, "warn");
            None
        }
    };
    dotenv::tell();
    // This process holds prompts and credentials.
    memory::protect();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code(Err(CommandError::Runtime(error))),
    };
    runtime.block_on(async {
        match cli.command {
            Command::Setup(args) => setup::run(args)
                .await
                .map_or_else(|failure| failure.report(PROGRAM), |()| ExitCode::SUCCESS),
            command => exit_code(run(command, log).await),
        }
    })
}

/// The level of a server's log, if `RUST_LOG` does not set it.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `LOG_LEVEL` | the level of the log of `claude-tasks`, where `RUST_LOG` is not set; the original service reads it, too | `info` |
fn log_level() -> &'static str {
    let level = arguments::variable("LOG_LEVEL").unwrap_or_default();
    let levels = ["trace", "debug", "info", "warn", "error"];
    let named = levels
        .into_iter()
        .find(|name| level.eq_ignore_ascii_case(name));
    named.unwrap_or("info")
}

async fn run(command: Command, log: Option<EarlyLog>) -> Result<CommandEnd, CommandError> {
    match command {
        Command::Worker(args) => Box::pin(worker::run(*args, log)).await,
        Command::Api(args) => Box::pin(api::run(*args, log)).await,
        Command::All(args) => Box::pin(all::run(*args, log)).await,
        Command::Submit(args) => Box::pin(submit::run(*args)).await,
        Command::List(args) => Box::pin(list::run(*args)).await,
        Command::Follow(args) => tasks::follow(*args).await,
        Command::Result(args) => tasks::result(*args).await,
        Command::Status(args) => tasks::status(*args).await,
        Command::Logs(args) => logs::run(*args).await,
        Command::Cancel(args) => tasks::cancel(*args).await,
        Command::VerifyWebhook(args) => verify_webhook::run(&args),
        // `main` has run them.
        Command::Setup(_) | Command::Supervise | Command::Confine(_) | Command::Forward(_) => {
            Ok(CommandEnd::Done)
        }
    }
}
