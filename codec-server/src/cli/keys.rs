//! `keys`: creates keys and looks after them.

mod arguments;
mod confirm;
mod dotenv;
mod missing;
mod operation;
mod permissions;
mod place;
mod report;
mod setup;
mod steps;
mod values;

use temporal_kms_codec_service::lifecycle;

use self::arguments::KeysCommand;
pub(super) use self::arguments::{KeysArgs, help};
use super::{audit_log::CommandEvent, exit::Failure};

#[cfg(fuzzing)]
pub use self::dotenv::with_setting;

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let mut options = args.kms.options()?;
    lifecycle::run(async {
        let log = args.audit.open(CommandEvent::of("keys")).await?;
        log.observe(&mut options);
        let done = match &args.command {
            KeysCommand::Setup(setup) => setup::run(setup, &options, args.json).await,
            KeysCommand::OfKey(command) => operation::run(command, &options, args.json).await,
        };
        log.close(done).await
    })
}
