//! The command line.

use crate::{print, submit, submit::SubmitArgs, worker, worker::WorkerArgs};
use clap::{Parser, Subcommand};
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// Claude Code tasks as Temporal workflows, with every credential and prompt encrypted end to end.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run tasks.
    Worker(Box<WorkerArgs>),
    /// Start a task, show its events, wait for its end. Ctrl-C cancels the task.
    ///
    /// Exit code: 0 the task did well, 1 it failed, 130 it was cancelled, 64 no valid task,
    /// 69 Temporal or the key cannot be reached.
    Submit(Box<SubmitArgs>),
    /// Hold a task's processes (the worker starts this by itself).
    #[command(hide = true)]
    Supervise,
}

const FAILED: u8 = 1;
/// The codes of `sysexits.h`.
const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const CANCELLED: u8 = 130;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        // Before anything else runs in this process: it is to be small and to hold nothing.
        Command::Supervise => crate::process::supervise(),
        command => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(run(command)),
            Err(error) => failed(&error, FAILED),
        },
    }
}

async fn run(command: Command) -> ExitCode {
    // The PKCS#11 library calls every mechanism of a token that it has no name for an error.
    let filter = |default: &str| {
        EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| format!("{default},cryptoki=off").into())
    };
    let log = tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match command {
        Command::Worker(args) => {
            log.with_env_filter(filter("info")).init();
            match worker::run(*args).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error @ worker::WorkerError::Connect(_)) => failed(&error, UNAVAILABLE),
                Err(error) => failed(&error, FAILED),
            }
        }
        Command::Submit(args) => {
            log.with_env_filter(filter("warn")).init();
            match submit::run(*args).await {
                Ok(submit::Outcome::Completed | submit::Outcome::Detached) => ExitCode::SUCCESS,
                Ok(submit::Outcome::Failed) => FAILED.into(),
                Ok(submit::Outcome::Cancelled) => CANCELLED.into(),
                Err(error @ (submit::SubmitError::Input(_) | submit::SubmitError::Exists(_))) => {
                    failed(&error, USAGE)
                }
                Err(error) => failed(&error, UNAVAILABLE),
            }
        }
        Command::Supervise => ExitCode::from(FAILED),
    }
}

fn failed(error: &dyn std::error::Error, code: u8) -> ExitCode {
    print::note(&format!("error: {error}"));
    code.into()
}
