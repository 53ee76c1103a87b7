//! `keys`: creates keys and looks after them.

mod arguments;
mod confirm;
mod dotenv;
mod member;
mod operation;
mod place;
mod report;
mod setup;
mod steps;
mod table;

use serde::Serialize;
use temporal_kms_codec::kms::ProviderError;

use self::arguments::KeysCommand;
pub(super) use self::arguments::{HELP, KeysArgs};
pub(super) use self::report::days;
use super::{
    exit::{self, Failure, Status},
    runtime,
};

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let options = args.kms.options()?;
    runtime::run(async {
        match &args.command {
            KeysCommand::Setup(setup) => setup::run(setup, &options, args.json).await,
            KeysCommand::OfKey(command) => operation::run(command, &options, args.json).await,
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
        serde_json::to_string_pretty(answer)
            .map_err(|error| Failure::new(Status::Software, error))?
    } else {
        text()
    };
    exit::print(&text)
}

fn failed(error: ProviderError) -> Failure {
    Failure::new(Status::of_provider(&error), error)
}
