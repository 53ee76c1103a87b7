//! `keys`: creates keys and looks after them.

mod arguments;
mod audited;
mod confirm;
mod dotenv;
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
use super::exit::Failure;

#[cfg(fuzzing)]
pub use self::dotenv::with_setting;

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let mut options = args.kms.options()?;
    lifecycle::run(async {
        let log = audited::open(args.audit_log.as_deref(), &mut options).await?;
        let done = match &args.command {
            KeysCommand::Setup(setup) => setup::run(setup, &options, args.json).await,
            KeysCommand::OfKey(command) => operation::run(command, &options, args.json).await,
        };
        audited::close(log, done).await
    })
}
