//! `history`: commands that read whole histories.

mod decode;
mod scan;

#[cfg(fuzzing)]
pub use self::scan::payloads_of;

use clap::Subcommand;

use super::exit::Failure;

pub(super) const HELP: &str = "\
Examples:
  temporal workflow show -w ID -o json > history.json
  codec-server history decode history.json --keyring keys -o plain.json
  codec-server history scan histories/ --retention 30d
  codec-server history scan --address 127.0.0.1:7233 --namespace default

`decode` needs the keys. `scan` needs none: it reads what histories say of
their keys in the clear.";

#[derive(Debug, Subcommand)]
pub(super) enum HistoryCommand {
    /// Decodes exported histories of any size.
    #[command(after_help = decode::help())]
    Decode(Box<decode::DecodeArgs>),
    /// Finds out which keys and formats histories still need, and for how long.
    #[command(after_help = scan::help())]
    Scan(Box<scan::ScanArgs>),
}

pub(super) fn run(command: &HistoryCommand) -> Result<(), Failure> {
    match command {
        HistoryCommand::Decode(args) => decode::run(args),
        HistoryCommand::Scan(args) => scan::run(args),
    }
}
