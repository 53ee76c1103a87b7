//! The program `codec-server`: its command line, and the command that it runs.

mod audit;
mod common;
mod config;
mod dev;
mod doctor;
mod files;
mod history;
mod inspect;
mod keys;
mod serve;
mod signatures;
mod token;
mod transform;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use temporal_kms_codec_service::{
    arguments, dotenv,
    exit::{SIGNALS, list, usage},
    log::{self, EarlyLog, LogFormat},
    memory, panics,
};

/// What fuzz targets reach beside the public items.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use super::{history::payloads_of, keys::with_setting};
}

use self::common::{
    audit_log, codec_args,
    exit::{self, PROGRAM, SECOND, Status, with_exit_codes, with_server_exit_codes},
    kms_args, missing_key, output, payload_file, progress, table, wanted,
};

/// Commands that run once say only what is wrong; that local keys are for development, the command says that creates them.
const QUIET: &str = "warn,temporal_kms_local=error";

/// Encrypts and decrypts Temporal payloads for the Web UI, `temporal` and `tctl`, with keys that live in a KMS.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = help())]
struct Cli {
    /// The format of log lines.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "CODEC_LOG_FORMAT"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// The definition of the command line, for manual pages and completions.
#[doc(hidden)]
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn help() -> String {
    let further = [&[SECOND][..], &SIGNALS].concat();
    format!(
        "\
Examples:
  codec-server dev --keyring keys
  temporal workflow show -w ID --codec-endpoint http://127.0.0.1:8081
  codec-server serve --config codec.toml
  codec-server doctor --config codec.toml

When something does not work, `doctor` checks the configuration and the keys,
and says what is wrong and what to do.

{}

The log goes to stderr. RUST_LOG sets its level, such as RUST_LOG=debug.",
        list(&Status::ALL, &further)
    )
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves any namespace with one local key, to pages and programs on this machine.
    #[command(after_help = with_server_exit_codes(dev::HELP))]
    Dev(dev::DevArgs),
    /// Serves the namespaces of a configuration.
    #[command(after_help = with_server_exit_codes(serve::HELP))]
    Serve(serve::ServeArgs),
    /// Encrypts payloads from a file or stdin.
    #[command(after_help = transform::help())]
    Encode(transform::TransformArgs),
    /// Decrypts payloads from a file or stdin.
    #[command(after_help = transform::help())]
    Decode(transform::DecodeArgs),
    /// Shows formats, keys and namespaces of payloads, without decrypting them.
    #[command(after_help = inspect::help())]
    Inspect(inspect::InspectArgs),
    /// Decodes exported histories of any size, and finds out which keys histories need.
    #[command(subcommand, after_help = history::HELP)]
    History(Box<history::HistoryCommand>),
    /// Seals a file of any size.
    #[command(after_help = files::help())]
    Seal(files::FileArgs),
    /// Opens a sealed file.
    #[command(after_help = files::help(), mut_arg("output", files::output_of_open))]
    Open(files::FileArgs),
    /// Signs a file.
    #[command(after_help = signatures::sign::help())]
    Sign(signatures::sign::SignArgs),
    /// Verifies the signature of a file.
    #[command(after_help = signatures::verify::help())]
    Verify(signatures::verify::VerifyArgs),
    /// Creates and manages keys.
    #[command(after_help = with_exit_codes(&keys::help()), mut_subcommands = exit::add_exit_codes)]
    Keys(keys::KeysArgs),
    /// Finds out what is wrong with a configuration or its keys, and says what to do.
    #[command(after_help = doctor::HELP)]
    Doctor(Box<doctor::DoctorArgs>),
    /// Checks a configuration.
    #[command(subcommand, after_help = config::HELP)]
    Config(config::ConfigCommand),
    /// Verifies, follows and searches audit logs.
    #[command(after_help = audit::HELP)]
    Audit(audit::AuditArgs),
    /// Makes a token for a program that calls the server.
    #[command(after_help = token::HELP)]
    Token(token::TokenArgs),
}

impl Command {
    /// The level of the log without `RUST_LOG`; `None` for the servers, whose log is for operators.
    fn log_level(&self) -> Option<&'static str> {
        match self {
            Self::Dev(_) | Self::Serve(_) => None,
            Self::Seal(args) | Self::Open(args) if args.quiet => Some("error"),
            // Its findings say the same, and its progress is drawn where the log goes.
            Self::Doctor(_) => Some("error"),
            _ => Some(QUIET),
        }
    }
}

/// Runs the program with the arguments and the environment of the process.
#[must_use]
pub fn main() -> ExitCode {
    panics::install(PROGRAM, env!("CARGO_PKG_VERSION"));
    let command_line: Vec<OsString> = std::env::args_os().collect();
    run(&command_line)
}

fn run(command_line: &[OsString]) -> ExitCode {
    let _written = log::FlushOnDrop;
    if let Err(failure) = dotenv::load(command(), command_line, &[]) {
        return failure.report(PROGRAM);
    }
    let cli: Cli = match arguments::parse(command_line) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let log = match cli.command.log_level() {
        None => Some(EarlyLog::start(cli.log_format, "info")),
        Some(level) => {
            log::init_command(PROGRAM, cli.log_format, level);
            None
        }
    };
    dotenv::tell();
    memory::protect();
    memory::reuse_large_blocks();
    let done = match cli.command {
        Command::Dev(args) => dev::run(args, log),
        Command::Serve(args) => serve::run(args, log),
        Command::Encode(args) => transform::encode(&args),
        Command::Decode(args) => transform::decode(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::History(command) => history::run(&command),
        Command::Seal(args) => files::run(files::FileCommand::Seal, &args),
        Command::Open(args) => files::run(files::FileCommand::Open, &args),
        Command::Sign(args) => signatures::sign::run(&args),
        Command::Verify(args) => signatures::verify::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Audit(args) => audit::run(&args),
        Command::Token(args) => token::run(&args),
    };
    done.map_or_else(|failure| failure.report(PROGRAM), |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
