//! The program `codec-server`: its command line, and the command that it runs.

mod common;
mod config;
mod doctor;
mod files;
mod keys;
mod serve;
mod transform;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use temporal_kms_codec::{Format, PlaintextPolicy};
use temporal_kms_codec_service::{
    arguments,
    exit::{SECOND_SIGNAL, SIGNALS, list, usage},
    lifecycle as runtime,
    log::{self, LogFormat},
    memory,
};

use self::common::{
    exit::{self, PROGRAM, Status},
    kms_args, output,
};
use crate::config::OnUndecodable;

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

fn help() -> String {
    let second = [(SECOND_SIGNAL, "a second signal ended a server")];
    let further = [&second[..], &SIGNALS].concat();
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
    #[command(after_help = "\
Examples:
  codec-server dev
  codec-server dev --listen localhost:8081 --keyring ./keys
  temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8081

The key is local://default, the Tink keyset default.json in the folder KEYRING.
It is created on the first start. Never use it in production: a user who can
read the file can decrypt everything.

SIGTERM, SIGINT and SIGHUP stop the server after the requests in flight.")]
    Dev(Dev),
    /// Serves the namespaces of a configuration.
    #[command(after_help = "\
Examples:
  codec-server serve --config codec.toml
  CODEC_SERVER_LISTEN=127.0.0.1:9000 codec-server serve --config codec.toml
  TEMPORAL_CODEC_KEY=local://2026 TEMPORAL_CODEC_KEYRING=keys codec-server serve

A small codec.toml:
  [cors]
  allowed_origins = [\"https://temporal.example.com\"]
  [keys]
  local_keyring = \"/var/lib/codec/keys\"
  [namespaces.default]
  encrypt = [\"local://2026\"]
  decrypt = [\"local://2025\"]

`config check` reports every mistake in it. A server creates no key: see
`keys create`.

SIGTERM, SIGINT and SIGHUP stop the server after the requests in flight. A
changed configuration takes effect at the next start.")]
    Serve(Serve),
    /// Encrypts payloads from a file or stdin.
    #[command(after_help = transform::HELP)]
    Encode(transform::TransformArgs),
    /// Decrypts payloads from a file or stdin.
    #[command(after_help = transform::HELP)]
    Decode(transform::DecodeArgs),
    /// Seals a file of any size.
    #[command(after_help = files::HELP)]
    Seal(files::FileArgs),
    /// Opens a sealed file.
    #[command(after_help = files::HELP)]
    Open(files::FileArgs),
    /// Creates and manages keys.
    #[command(after_help = keys::HELP)]
    Keys(keys::KeysArgs),
    /// Finds out what is wrong with a configuration or its keys, and says what to do.
    #[command(after_help = doctor::HELP)]
    Doctor(Box<doctor::DoctorArgs>),
    /// Checks a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
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

#[derive(Debug, Args)]
struct Dev {
    /// Address and port for clients; a loopback address. Port 0 is a free one.
    #[arg(long, value_name = "ADDR", env = "CODEC_SERVER_LISTEN", default_value = crate::config::DEFAULT_LISTEN,
          value_parser = crate::config::loopback)]
    listen: SocketAddr,
    /// Address and port for /healthz and /readyz. Any address: they show no payload and no key.
    #[arg(long, value_name = "ADDR", env = "CODEC_SERVER_ADMIN_LISTEN", value_parser = crate::config::address)]
    admin_listen: Option<SocketAddr>,
    /// Folder of the keyset [default: temporal-kms-codec/keyring in `$XDG_DATA_HOME` or `~/.local/share`].
    #[arg(long, value_name = "DIR", env = "TEMPORAL_CODEC_KEYRING")]
    keyring: Option<PathBuf>,
    /// What happens to a payload that cannot be decoded: `placeholder` answers a text that says why, `fail` an error.
    #[arg(long, value_name = "WHAT", default_value = "placeholder")]
    on_undecodable: OnUndecodable,
    /// A format to open beside `envelope`: `envelope-v1` or `direct`; may be repeated.
    #[arg(long = "decrypt-format", value_name = "FORMAT")]
    decrypt_formats: Vec<Format>,
    /// Whether payloads that are not encrypted pass: `allow` or `reject`.
    #[arg(long, value_name = "WHAT", default_value = "allow")]
    plaintext: PlaintextPolicy,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration; without it, settings come from `CODEC_…` and `TEMPORAL_CODEC_…` variables.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Reports every mistake in a configuration with its line. Keys are not opened.
    #[command(after_help = config::HELP)]
    Check {
        /// The configuration.
        file: PathBuf,
        /// Prints the result as JSON: `ok`, `file`, and `problems` with `line` or `variable`, `setting` and `message`.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the program with the arguments and the environment of the process.
#[must_use]
pub fn main() -> ExitCode {
    let command_line: Vec<OsString> = std::env::args_os().collect();
    run(&command_line)
}

fn run(command_line: &[OsString]) -> ExitCode {
    let cli: Cli = match arguments::parse(command_line) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.command.log_level() {
        None => log::init(cli.log_format, "info"),
        Some(level) => log::init_command(PROGRAM, cli.log_format, level),
    }
    memory::protect();
    let done = match cli.command {
        Command::Dev(dev) => serve::dev(dev),
        Command::Serve(serve) => serve::serve(serve),
        Command::Encode(args) => transform::encode(&args),
        Command::Decode(args) => transform::decode(&args),
        Command::Seal(args) => files::run(files::Operation::Seal, &args),
        Command::Open(args) => files::run(files::Operation::Open, &args),
        Command::Keys(args) => keys::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(ConfigCommand::Check { file, json }) => config::run(&file, json),
    };
    done.map_or_else(|failure| failure.report(PROGRAM), |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
