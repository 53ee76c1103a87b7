//! `keys`: making keys and looking after them.

mod arguments;
mod confirm;
mod dotenv;
mod operation;
mod report;
mod setup;
mod steps;
mod table;

use std::io::Write as _;

use serde::Serialize;
use temporal_kms_codec::kms::ProviderError;

use self::arguments::KeysCommand;
pub(super) use self::arguments::{HELP, KeysArgs};
pub(super) use self::{report::days, table::printable};
use super::exit::{Failure, Status};

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let options = args.kms.options()?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("the runtime cannot be started", &error))?;
    runtime.block_on(async {
        match &args.command {
            KeysCommand::Setup(setup) => setup::run(setup, args, &options).await,
            command => operation::run(command, &options, args.json).await,
        }
    })
}

/// Prints an answer for programs or for people.
fn print(
    json: bool,
    answer: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string_pretty(answer).map_err(|error| Failure::new(Status::Io, error))?
    } else {
        text()
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
        .map_err(|error| Failure::io("stdout", &error))
}

fn failed(error: ProviderError) -> Failure {
    let status = if error.is_transient() {
        Status::TryAgain
    } else {
        Status::Usage
    };
    Failure::new(status, error)
}
