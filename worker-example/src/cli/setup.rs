//! `claude-tasks setup`: sets the service up at a cloud, step by step. It can be run again at any time.

mod gcloud;
mod gcp;
mod report;
mod runner;
mod values;

use clap::{Args, Subcommand};
use temporal_kms_codec_service::exit::Failure;

use self::gcp::GcpArgs;

/// The options of `setup`.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    #[command(subcommand)]
    cloud: Cloud,
}

#[derive(Debug, Subcommand)]
enum Cloud {
    /// Sets up the API as a Cloud Run service and the worker as a Cloud Run worker pool, or removes both.
    #[command(after_help = gcp::HELP)]
    Gcp(Box<GcpArgs>),
}

/// Runs the command.
///
/// # Errors
/// A wrong option, or a step that failed.
pub(super) async fn run(args: SetupArgs) -> Result<(), Failure> {
    match args.cloud {
        Cloud::Gcp(args) => gcp::run(&args).await,
    }
}
