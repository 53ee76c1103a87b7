//! The program: its command line, its exit statuses, and what it writes to stdout.

mod check;
mod doctor;
mod exit;
mod file;
mod input;
mod key_admin;
mod keys;
mod kms_args;
mod run;
mod transform;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use temporal_kms_codec_service::arguments;

use crate::{
    config::OnUndecodable,
    logging::{self, LogFormat},
};
use exit::Failure;

/// Encrypts and decrypts Temporal payloads for the Web UI, `temporal` and `tctl`, with keys that live in a KMS.
#[derive(Debug, Parser)]
#[command(
    name = "codec-server",
    version,
    after_help = "\
Examples:
  codec-server dev --keyring keys
  temporal workflow show -w ID --codec-endpoint http://127.0.0.1:8081
  codec-server serve --config codec.toml
  codec-server doctor --config codec.toml

When something does not work, `doctor` goes through configuration and keys, and says what is wrong and what to do.

Exit status: 0 success, 64 wrong usage or configuration, 65 input that cannot be processed,
69 an address that is taken or where nobody answers, 74 failed input or output, 75 a KMS that is away (try again),
77 a missing permission.

The log goes to stderr; RUST_LOG sets how much of it, such as RUST_LOG=warn."
)]
struct Cli {
    /// How log lines look.
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

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves any namespace with one local key, to pages and programs on this machine.
    #[command(after_help = "\
Examples:
  codec-server dev
  codec-server dev --listen 127.0.0.1:8081 --keyring ./keys
  temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8081

The key is local://default in the Tink keyset KEYRING/default.json, made on the first start. Never use it in
production: whoever can read the file can decrypt everything.")]
    Dev(Dev),
    /// Serves the namespaces of a configuration.
    #[command(after_help = "\
Examples:
  codec-server serve --config codec.toml
  CODEC_SERVER_LISTEN=127.0.0.1:9000 codec-server serve --config codec.toml
  TEMPORAL_CODEC_KEY=local://default TEMPORAL_CODEC_KEYRING=keys codec-server serve

A small codec.toml:
  [cors]
  allowed_origins = [\"https://temporal.example.com\"]
  [keys]
  local_keyring = \"/var/lib/codec/keys\"
  [namespaces.default]
  encrypt = [\"local://2026\"]
  decrypt = [\"local://2025\"]")]
    Serve(Serve),
    /// Encrypts payloads from stdin to stdout.
    #[command(after_help = INPUT_HELP)]
    Encode(Transform),
    /// Decrypts payloads from stdin to stdout.
    #[command(after_help = INPUT_HELP)]
    Decode(Transform),
    /// Seals a file of any size.
    #[command(after_help = file::HELP)]
    Seal(file::FileArgs),
    /// Opens a sealed file.
    #[command(after_help = file::HELP)]
    Open(file::FileArgs),
    /// Makes keys and looks after them.
    #[command(after_help = key_admin::HELP)]
    Keys(key_admin::KeysArgs),
    /// Finds out what is wrong with a configuration or its keys, and says what to do.
    #[command(after_help = doctor::HELP)]
    Doctor(Box<doctor::DoctorArgs>),
    /// Looks at a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

const INPUT_HELP: &str = "\
Examples:
  temporal workflow show -w ID -o json | codec-server decode --keyring keys
  codec-server decode --config codec.toml --namespace prod < history.json
  echo '{\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"},\"data\":\"ImhpIg==\"}' | codec-server encode --keyring keys

The input is one payload, {\"payloads\":[…]}, a list of payloads, or any JSON with payloads somewhere inside, such as a whole
history (also one JSON value on each line); there payloads are replaced in place and everything else stays as it is.
Without --keyring and --config the key comes from TEMPORAL_CODEC_KEY and its kin.";

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
    /// What is answered for a payload that cannot be decoded: `placeholder` for a text that says why, or `fail` to refuse
    /// the whole request.
    #[arg(long, value_name = "WHAT", default_value = "placeholder")]
    on_undecodable: OnUndecodable,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration; without it, settings come from `CODEC_…` and `TEMPORAL_CODEC_…` variables.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Transform {
    /// Folder of the keyset default.json, as for `dev`.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    keyring: Option<PathBuf>,
    /// A configuration as for `serve`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The namespace of the payloads.
    #[arg(
        long,
        value_name = "NAME",
        env = "TEMPORAL_NAMESPACE",
        default_value = "default"
    )]
    namespace: String,
    /// Leaves a payload that cannot be processed as it is, says so on stderr, and goes on; the exit status is 65 then.
    #[arg(long)]
    keep_going: bool,
    /// The most input that is read, such as 256MiB.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = crate::config::bytes)]
    max_input: usize,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Reports every mistake in a configuration with its line. Keys are not opened.
    #[command(after_help = "\
Examples:
  codec-server config check codec.toml
  codec-server config check codec.toml --json | jq .problems")]
    Check {
        /// The configuration.
        file: PathBuf,
        /// The result as JSON, for programs: {\"ok\":…,\"problems\":[{\"line\":…,\"setting\":…,\"message\":…}]}.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the program with the arguments and environment of the process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match arguments::parse::<Cli>(arguments.into_iter().collect()) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    logging::init(cli.log_format);
    let done = match cli.command {
        Command::Dev(dev) => run::dev(dev),
        Command::Serve(serve) => run::serve(serve),
        Command::Encode(options) => transform::run(transform::Operation::Encode, &options),
        Command::Decode(options) => transform::run(transform::Operation::Decode, &options),
        Command::Seal(args) => file::run(file::Operation::Seal, &args),
        Command::Open(args) => file::run(file::Operation::Open, &args),
        Command::Keys(args) => key_admin::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(ConfigCommand::Check { file, json }) => check::run(&file, json),
    };
    done.map_or_else(Failure::exit, |()| ExitCode::SUCCESS)
}
