//! `audit search`.

use std::path::PathBuf;

use clap::Args;
use temporal_kms_codec::audit::read::{self, Lines};

use super::{super::exit::Failure, filter::Filter, show::Screen};

pub(super) const HELP: &str = "\
Examples:
  codec-server audit search /var/log/codec-server/audit --subject alice
  codec-server audit search /var/log/codec-server/audit --event key \\
    --since 2026-11-01T00:00:00Z
  codec-server audit search /var/log/codec-server/audit --json \\
    --request-id 1a2b3c4d | jq -r '.key'

All conditions must hold. The values are compared whole. The search does not
verify the log.";

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// The folder of a log, or its files in their order.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Print the lines as they are in the log, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SearchArgs) -> Result<(), Failure> {
    let files = read::files(&args.paths)?;
    let screen = Screen::new(args.json)?;
    for raw in Lines::of(&files) {
        let raw = raw?;
        if let Some(line) = raw.parse()
            && args.filter.matches(&line)
        {
            screen.show(&raw.bytes, Some(&line))?;
        }
    }
    Ok(())
}
